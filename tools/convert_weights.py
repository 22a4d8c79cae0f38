"""Weights of other codebases: ``python tools/convert_weights.py SOURCE CONFIG
OUT``."""

import sys

if __name__ == '__main__':
    try:
        from mmamp.convert_weights import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
