"""``python -m benchmarks.gpu_kit``, as ``tools/dev/gpu_kit.sh`` has it."""

import sys

from .command import main

if __name__ == '__main__':
    sys.exit(main())
