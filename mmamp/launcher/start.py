"""How a command begins: its config, or one line about what is wrong."""

import os
from argparse import Namespace
from collections.abc import Sequence

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmamp.checkpoint.safe_load import load_safely_only
from mmamp.distributed.ranks import is_first
from mmamp.errors import UsageError
from mmamp.logging.early_log import EarlyLog

from .edits import Edit, read_config
from .mistakes import complain


def started(
    args: Namespace, edits: Sequence[Edit], command: str
) -> tuple[Config, EarlyLog] | None:
    """Read the config of a command, before there is a process group or a log.

    Args:
        args (argparse.Namespace): The command line.
        edits (Sequence[Callable]): The command's edits of its config.
        command (str): Its name.

    Returns:
        tuple[Config, EarlyLog] or None: The config, and what was logged
        meanwhile; None if the user has made a mistake, which was told.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    load_safely_only()
    early = EarlyLog()
    try:
        with early:
            return read_config(args, edits), early
    except (UsageError, ImportError) as error:
        # A lazy config imports what it names when that is asked for.
        if is_first(args.launcher):
            early.replay(MMLogger.get_current_instance())
            complain(error, command, has_log=False)
        return None
