"""What of a run's log is on its console; the log file has all of it."""

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.logging import MMLogger

IN_FILE = re.compile(
    r'\s*(-{60}\s+System environment:|Config:\n|Hooks will be executed in|'
    r'Distributed training is not used, all SyncBatchNorm|Exp name: |'
    r'Checkpoints will be saved to |'
    # Nobody but MMEngine can change these.
    r'Failed to search registry with scope |'
    r'"(FileClient|HardDiskBackend)" (is|will be) |'
    r'`resume_param_scheduler` is True but `self.param_schedulers` is None|'
    r'Advance dataloader \d+ steps to skip data)'
)
"""MMEngine's own texts that are in the log file alone."""
REPEATED = re.compile(r'AmpOptimWrapper\b')
"""What each wrapper of several says, in the same words."""
PROGRESS = re.compile(r'(Iter|Epoch)\(train\)')


class QuietConsole(logging.Filter):
    """Lets a console show what a user wants to know of a run.

    MMEngine's environment, config and hooks are in the log file, as are its
    warnings of its own functions; what several of mmamp's wrappers say in the
    same words comes once. Texts of anybody else all come through, and with
    ``log_level='DEBUG'`` everything does.

    Attributes:
        take_progress (Callable, optional): Called with the lines of training
            progress, which are not shown then.

    Examples:
        >>> quiet = QuietConsole()
        >>> with quiet.on_new_loggers():
        ...     logger = MMLogger('a_run')
    """

    def __init__(self) -> None:
        super().__init__()
        self.take_progress: Callable[[str], None] | None = None
        self._said: set[str] = set()

    def say_no_more(self, text: str) -> None:
        """Have a text not be shown, since another has said it.

        Args:
            text (str): All of a message.
        """
        self._said.add(text)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is shown."""
        if record.levelno < logging.INFO:
            return True
        text = record.getMessage()
        if PROGRESS.match(text):
            if self.take_progress is None:
                return True
            self.take_progress(text)
            return False
        if IN_FILE.match(text):
            return False
        is_new = text not in self._said
        if record.levelno == logging.INFO and REPEATED.match(text):
            self._said.add(text)
        return is_new

    @contextmanager
    def on_new_loggers(self) -> Iterator[None]:
        """Filter the consoles of loggers that MMEngine makes meanwhile.

        And leave out Python's warning that its DDP gives torch an argument
        by an old name.
        """
        made = MMLogger.__init__

        def make(logger: MMLogger, *args: Any, **kwargs: Any) -> None:
            made(logger, *args, **kwargs)
            for handler in consoles_of(logger):
                if handler.level >= logging.INFO:
                    handler.addFilter(self)

        MMLogger.__init__ = make
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings(
                    'ignore', '`broadcast_buffers` is deprecated'
                )
                yield
        finally:
            MMLogger.__init__ = made


def consoles_of(logger: logging.Logger) -> list[Any]:
    """Return the handlers of a logger that write to the console.

    Args:
        logger (Logger): MMEngine's.
    """
    return [x for x in logger.handlers if type(x) is logging.StreamHandler]
