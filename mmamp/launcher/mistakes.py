"""How a command ends, and what it says then."""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from traceback import extract_tb, format_exception
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_rank, is_main_process
from mmengine.logging import MMLogger

from mmamp.distributed.meeting import who
from mmamp.errors import (
    FAILED,
    INTERRUPTED,
    USAGE,
    PackageExit,
    UsageError,
)

from .config_keys import keys_of, keys_of_paths, keys_of_type
from .valid_names import unknown_type, valid_names, without_type

_PACKAGE = Path(__file__).parents[1]
SECONDS = 3.0
"""How long a rank waits with what the first one may say too."""
MISTAKES = (
    *(TypeError, ValueError, KeyError, AttributeError, AssertionError),
    *(ImportError, OSError),
)
"""What building a run raises of a config that it cannot be built from."""


def exit_code(
    error: BaseException,
    command: str,
    cfg: Config | None = None,
    has_log: bool = True,
    mistakes: tuple[type[Exception], ...] = MISTAKES,
    on_interrupt: Callable[[], str] = lambda: 'Interrupted.',
) -> int:
    """Tell why a command ends, and with which exit code.

    Args:
        error (BaseException): What ended it.
        command (str): Its name.
        cfg (Config, optional): What it runs, if that is known.
        has_log (bool): As of :func:`complain`. Defaults to True.
        mistakes (tuple[type]): What are mistakes of the user's. Defaults to
            ``MISTAKES``.
        on_interrupt (Callable): What is said after Ctrl-C.

    Raises:
        BaseException: The error, if it is none of these.
    """
    if is_interrupt(error):
        if is_main_process():
            print(on_interrupt(), file=sys.stderr)
        return INTERRUPTED
    if type(error) is SystemExit and not error.code:
        error = PackageExit(error)
    if isinstance(error, PackageExit):
        complain(error, command, cfg, has_log)
        return FAILED
    if not (isinstance(error, mistakes) or _is_told(error)):
        raise error
    if not is_main_process():
        # Where all have met the same, the first one tells it and torchrun
        # ends this one meanwhile.
        time.sleep(SECONDS)
    complain(error, command, cfg, has_log)
    return USAGE


def _is_told(error: BaseException) -> bool:
    """Tell whether mmamp has raised an error itself, with words for users."""
    if not isinstance(error, (TypeError, ValueError)):
        return False
    (*_, last) = [None, *extract_tb(error.__traceback__)]
    return (
        last is not None
        and Path(last.filename).is_relative_to(_PACKAGE)
        and (last.line or '').startswith('raise ')
    )


def is_interrupt(error: BaseException | None) -> bool:
    """Tell whether Ctrl-C is behind an error.

    Code that was writing a file may turn it into an error of its own.
    """
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


def complain(
    error: BaseException | str,
    command: str,
    cfg: Config | None = None,
    has_log: bool = True,
) -> None:
    """Tell a mistake in one line; where it was found out goes into the log.

    Args:
        error (BaseException or str): The mistake.
        command (str): Name of the command that met it.
        cfg (Config, optional): Whose keys are named where a file is missing.
            Defaults to None.
        has_log (bool): Whether the command has a log; if it has none yet,
            where it was found out is told before. Defaults to True.
    """
    said_by = '' if is_main_process() else who(get_rank())
    if isinstance(error, (UsageError, str)):
        behind = None if isinstance(error, str) else error.__cause__
        where = '' if behind is None else _logged(error)
        print(f'{command}: error: {said_by}{error}{where}', file=sys.stderr)
        _tell_notes(error)
        return
    # A KeyError would put its text into quotes.
    text: Any = error.args[0] if isinstance(error, KeyError) else error
    if unknown := unknown_type(error):
        text = unknown[1]
    text = ' '.join(f'{text}{valid_names(error)}'.split())
    if not text:
        text = _where(error)
    if unknown and (keys := keys_of_type(cfg, unknown[0])):
        text += f'; the config names it in {", ".join(keys)}'
    if isinstance(error, OSError) and (keys := keys_of_paths(cfg, text)):
        text += f'; the config names it in {", ".join(keys)}'
    if untyped := keys_of(cfg, without_type(error)):
        text += f'; the config has this as {" and ".join(untyped)}'
    where = _logged(error)
    # Of several ranks the first one tells where, if it has met it too.
    if has_log and not where and is_main_process():
        print(''.join(format_exception(error)), file=sys.stderr)
    print(
        f'{command}: error: {said_by}{type(error).__name__}: {text}{where}',
        file=sys.stderr,
    )
    _tell_notes(error)


def _tell_notes(error: Any) -> None:
    for note in getattr(error, '__notes__', ()):
        print(note, file=sys.stderr)


def _where(error: BaseException) -> str:
    """Return the line that raised an error which says nothing itself."""
    (*_, last) = [None, *extract_tb(error.__traceback__)]
    if last is None:
        return 'no more is known'
    return f'{last.filename}:{last.lineno}: {last.line}'


def _logged(error: Any) -> str:
    """Write where an error was found out into the log, if there is one."""
    where = ''
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler):
            where = f' ({_write(error, handler.baseFilename)})'
    return where


def _write(error: BaseException, log: str) -> str:
    """Write where an error was found out; say where that is."""
    try:
        with open(log, 'a') as file:
            file.writelines(format_exception(error))
    except OSError as failure:
        return f'and {log} cannot be written to: {failure.strerror}'
    return f'more in {log}'
