"""Should mixed precision be on: ``python tools/amp_report.py CONFIG``."""

import sys

if __name__ == '__main__':
    try:
        # Here, since importing torch takes long enough for a Ctrl-C.
        from mmamp.report import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
