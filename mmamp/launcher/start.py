"""How a command begins: its config, or one line about what is wrong."""

from argparse import Namespace
from collections.abc import Callable, Sequence

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmamp.checkpoint.safe_load import load_safely_only
from mmamp.distributed.meeting import meeting
from mmamp.distributed.ranks import launcher_of_process, prepare_launcher
from mmamp.errors import UsageError
from mmamp.logging.early_log import EarlyLog

from .edits import Edit, edit, read_config
from .mistakes import complain


def started(
    args: Namespace,
    edits: Sequence[Edit],
    command: str,
    then: Sequence[Edit] = (),
) -> tuple[Config, EarlyLog] | None:
    """Read the config of a command, before there is a process group or a log.

    Args:
        args (argparse.Namespace): The command line.
        edits (Sequence[Callable]): The command's edits of its config.
        command (str): Its name.
        then (Sequence[Callable]): Edits that each process makes once all
            have made the first ones. Defaults to none.

    Returns:
        tuple[Config, EarlyLog] or None: The config, and what was logged
        meanwhile; None if the user has made a mistake, which was told.
    """
    load_safely_only()
    early = EarlyLog()
    cfg = Config()

    def read() -> None:
        nonlocal cfg
        is_given = args.launcher is not None
        args.launcher = args.launcher or launcher_of_process()
        # From here on it is known where ranks meet.
        prepare_launcher(args.launcher, args.local_rank, is_given)
        cfg = read_config(args, edits)

    if not _made(read, args, command, early):
        return None
    if then and not _made(lambda: edit(cfg, then, args), args, command, early):
        return None
    return cfg, early


def _made(
    step: Callable[[], None], args: Namespace, command: str, early: EarlyLog
) -> bool:
    """Make a step on all ranks; tell a mistake that one of them has met."""
    error = None
    try:
        with early:
            step()
    except Exception as mistake:
        error = mistake
    met = meeting(args.launcher)
    number, first = met.mistakes(_text(error))
    if not number:
        return True
    # A lazy config imports what it names when that is asked for.
    is_mistake = error is None or isinstance(error, (UsageError, ImportError))
    if is_mistake and met.speaks:
        early.replay(MMLogger.get_current_instance())
        is_shared = number == met.size
        complain(
            error if error and is_shared else first, command, has_log=False
        )
    met.part()
    if error is not None and not is_mistake:
        raise error
    return False


def _text(error: Exception | None) -> str | None:
    """Write a mistake in one line."""
    if error is None:
        return None
    if isinstance(error, UsageError):
        return str(error)
    return ' '.join(f'{type(error).__name__}: {error}'.split())
