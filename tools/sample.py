"""Sample: ``python tools/sample.py CONFIG CHECKPOINT --num N --out DIR``."""

import sys

if __name__ == '__main__':
    try:
        from mmamp.sample import main

        sys.exit(main())
    except KeyboardInterrupt:
        print('Interrupted before sampling began.', file=sys.stderr)
        sys.exit(130)
