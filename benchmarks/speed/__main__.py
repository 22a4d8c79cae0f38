"""``python -m benchmarks.speed``, as ``tools/benchmark.py`` has it."""

import sys

from .command import main

if __name__ == '__main__':
    sys.exit(main())
