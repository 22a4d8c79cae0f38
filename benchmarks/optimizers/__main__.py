"""The command, as ``python -m benchmarks.optimizers``."""

import sys

from .command import main

sys.exit(main())
