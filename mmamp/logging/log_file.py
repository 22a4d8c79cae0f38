"""A log file that cannot be written any more."""

import logging
import sys
from collections.abc import Callable
from functools import partial


def tell_once(logger: logging.Logger) -> None:
    """Have a log that cannot be written be told in one line, once.

    ``logging`` prints a traceback for each line that it could not write.

    Args:
        logger (Logger): Whose files.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            told = partial(_tell, handler, handler.handleError, [])
            setattr(handler, 'handleError', told)  # noqa: B010


def _tell(
    handler: logging.FileHandler,
    otherwise: Callable[[logging.LogRecord], None],
    said: list[str],
    record: logging.LogRecord,
) -> None:
    error = sys.exc_info()[1]
    if not isinstance(error, OSError):
        otherwise(record)
    elif not said:
        said.append(str(error))
        print(
            f'The log {handler.baseFilename} cannot be written to: '
            f'{error.strerror}. The run goes on',
            file=sys.stderr,
        )
