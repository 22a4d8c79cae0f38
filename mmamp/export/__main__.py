"""``python -m mmamp.export``, as ``tools/export.py`` has it."""

import sys

from .command import main

if __name__ == '__main__':
    sys.exit(main())
