"""``python -m benchmarks.results``, as ``tools/results.py`` has it."""

import sys

from .command import main

if __name__ == '__main__':
    sys.exit(main())
