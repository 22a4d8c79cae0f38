"""``python -m mmamp.migration config OLD.py -o NEW.py``."""

import sys

from .cli import main

if __name__ == '__main__':
    sys.exit(main())
