"""``python -m mmamp.report``, as ``tools/amp_report.py`` has it."""

import sys

from .command import main

if __name__ == '__main__':
    sys.exit(main())
