"""What mixed precision costs: ``python tools/benchmark.py --quick``."""

import sys

if __name__ == '__main__':
    from mmamp.benchmark import main

    sys.exit(main())
