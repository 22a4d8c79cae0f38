"""Migrate from 0.x: ``python tools/migrate.py config OLD.py -o NEW.py``."""

import importlib.util
import sys
from pathlib import Path

# In a wheel the tools are inside of the package, in .mim.
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT.parent if ROOT.name == '.mim' else ROOT / 'mmamp'


def name_package() -> None:
    """Make ``mmamp`` known without running it.

    Running it takes torch and MMEngine, which those who come from 0.x may
    not have yet.
    """
    spec = importlib.util.spec_from_file_location(
        'mmamp', PACKAGE / '__init__.py'
    )
    sys.modules['mmamp'] = importlib.util.module_from_spec(spec)


if __name__ == '__main__':
    name_package()
    try:
        from mmamp.migration.cli import main

        sys.exit(main())
    except KeyboardInterrupt:
        print('Interrupted before anything was written.', file=sys.stderr)
        sys.exit(130)
