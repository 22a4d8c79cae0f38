"""One file of a checkpoint in parts: ``python tools/dcp_to_pth.py FOLDER``."""

import sys

if __name__ == '__main__':
    try:
        from mmamp.dcp_to_pth import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
