"""One strategy, in a process of its own: ``python -m mmamp.plan.trial``.

In it there is no accelerator, whatever the machine has, and autocast of the
CPU may do what another's does.
"""

import json
import logging
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

import mmamp  # noqa: F401  (registers everything)
from mmamp.errors import USAGE, UsageError

from .rows import Aim, row_of


def specification(
    config: Path, strategy: str, dtypes: list[str], aim: Aim
) -> str:
    """Write what a trial is to do.

    Args:
        config (Path): Of the config, complete.
        strategy (str): Of ``plan_config.STRATEGIES``.
        dtypes (list[str]): That are compared.
        aim (Aim): What is planned for.
    """
    return json.dumps(
        dict(
            config=str(config),
            strategy=strategy,
            dtypes=dtypes,
            aim=asdict(aim),
        )
    )


def main(specified: str) -> int:
    """Rehearse each dtype; print a row in a line of its own.

    Args:
        specified (str): From :func:`specification`.

    Returns:
        int: Exit code: 2 for a mistake of the user's, whose text is the last
        line then.
    """
    warnings.simplefilter('ignore')
    asked: dict[str, Any] = json.loads(specified)
    cfg = Config.fromfile(asked['config'])
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    aim = Aim(**asked['aim'])
    for dtype in asked['dtypes']:
        print(f'@{dtype}', flush=True)
        try:
            row = row_of(cfg, dtype, asked['strategy'], aim)
        except UsageError as error:
            print(json.dumps(dict(mistake=str(error))), flush=True)
            return USAGE
        print(json.dumps(row), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
