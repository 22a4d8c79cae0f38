"""Train a config: ``python tools/train.py CONFIG --amp``."""

import sys

if __name__ == '__main__':
    try:
        # Here, since importing torch takes long enough for a Ctrl-C.
        from mmamp.train import main

        sys.exit(main())
    except KeyboardInterrupt:
        print('Interrupted before training began.', file=sys.stderr)
        sys.exit(130)
