"""``python -m mmamp.plan``, as ``tools/plan.py`` has it."""

import sys

from .command import main

if __name__ == '__main__':
    sys.exit(main())
