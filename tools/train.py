"""``python tools/train.py CONFIG --amp``: see ``mmamp/train.py``."""

import sys

from mmamp.train import main

if __name__ == '__main__':
    sys.exit(main())
