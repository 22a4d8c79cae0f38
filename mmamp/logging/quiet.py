"""Code whose words nobody needs."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from mmengine.logging import MMLogger

from .once import LogOnce


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what is logged, warned of and printed meanwhile.

    What is logged once is not said then, and comes when it is due.
    """
    logger = MMLogger.get_current_instance()
    drop = _Drop()
    logger.addFilter(drop)
    was_silent, LogOnce.is_silent = LogOnce.is_silent, True
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        LogOnce.is_silent = was_silent
        logger.removeFilter(drop)


class _Drop(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return False
