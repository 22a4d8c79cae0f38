"""Test a config: ``python tools/test.py CONFIG CHECKPOINT [--amp]``."""

import sys

if __name__ == '__main__':
    try:
        from mmamp.test import main

        sys.exit(main())
    except KeyboardInterrupt:
        print('Interrupted before testing began.', file=sys.stderr)
        sys.exit(130)
