"""The command, as ``python -m benchmarks.optimizers``."""

import sys

if __name__ == '__main__':
    try:
        # Here, since importing torch takes long enough for a Ctrl-C.
        from .command import main

        sys.exit(main())
    except KeyboardInterrupt:
        print('Interrupted.', file=sys.stderr)
        sys.exit(130)
