"""Results of configs: ``python tools/results.py CONFIG ... --seeds 0 1 2``."""

import sys
from pathlib import Path

# The repository's own, in no wheel.
sys.path.insert(0, str(Path(__file__).parents[1]))

if __name__ == '__main__':
    try:
        # Here, since importing torch takes long enough for a Ctrl-C.
        from benchmarks.results import main

        sys.exit(main())
    except KeyboardInterrupt:
        print('Interrupted.', file=sys.stderr)
        sys.exit(130)
