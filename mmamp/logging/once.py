"""Lines of the log that come once."""

import logging
from typing import ClassVar

from mmengine.logging import print_log


class LogOnce:
    """Logs each text, or each text of a kind, once.

    Owned by what says it: a hook or a module that lives as long as a run.

    Attributes:
        is_silent (bool): Whether nobody's text is said now, nor counts as
            said.
    """

    is_silent: ClassVar[bool] = False

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(
        self, text: str, level: int = logging.INFO, key: str | None = None
    ) -> None:
        """Log a text, unless it was logged before.

        Args:
            text (str): What to say.
            level (int): Of the log. Defaults to ``logging.INFO``.
            key (str, optional): What kind of text it is, of which only the
                first is logged. Defaults to None: the text itself.
        """
        key = text if key is None else key
        if key not in self._said and not self.is_silent:
            self._said.add(key)
            print_log(text, logger='current', level=level)

    def warn(self, text: str, key: str | None = None) -> None:
        """Log a warning; see :meth:`__call__`."""
        self(text, logging.WARNING, key)
