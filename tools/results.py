"""Results of configs: ``python tools/results.py CONFIG ... --seeds 0 1 2``."""

import sys

from mmamp.results import main

if __name__ == '__main__':
    sys.exit(main())
