"""What a run will take: ``python tools/plan.py CONFIG --memory 80GiB``."""

import sys

if __name__ == '__main__':
    try:
        # Here, since importing torch takes long enough for a Ctrl-C.
        from mmamp.plan import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
