"""What is logged before there is a log file."""

import logging

from mmengine.logging import MMLogger


class EarlyLog(logging.Handler):
    """Keeps what is logged before the Runner has opened its log file."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self._records.append(record)

    def __enter__(self) -> None:
        self._logger = MMLogger.get_current_instance()
        self._kept, self._logger.handlers = self._logger.handlers, [self]

    def __exit__(self, *_: object) -> None:
        self._logger.handlers = self._kept

    def replay(self, logger: logging.Logger) -> None:
        """Hand the records that were kept to a logger."""
        for record in self._records:
            logger.handle(record)
