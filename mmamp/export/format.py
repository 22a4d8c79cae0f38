"""What all formats of exported files have in common."""

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from torch import nn

from .inputs import Inputs, Runner
from .metadata import Metadata

TALK = ('_subclasses', 'fx', 'onnx')
"""What of torch logs while it exports."""


@dataclass(frozen=True)
class Export:
    """What is written.

    Args:
        network (nn.Module): Plain; see :func:`~mmamp.export.network.baked`.
        graph (nn.Module): What calls it.
        inputs (Inputs): What it is called with.
        fresh (Callable): Returns such a network without its weights.
    """

    network: nn.Module
    graph: nn.Module
    inputs: Inputs
    fresh: Callable[[], tuple[nn.Module, nn.Module]]


class Format(ABC):
    """A kind of file."""

    suffix: str

    @abstractmethod
    def made(self, export: Export) -> Any:
        """Return what is to be written: a graph, or weights."""

    @abstractmethod
    def save(self, made: Any, file: BinaryIO, metadata: Metadata) -> None:
        """Write it, and what is to be known of it."""

    @abstractmethod
    def loaded(self, file: BinaryIO, export: Export) -> Runner | None:
        """Return what runs a file; None if this needs what is missing."""


@contextmanager
def quietly() -> Iterator[None]:
    """Keep from the user what torch says to those who write exporters.

    That a function is deprecated, that a constant may be wrong (which the
    comparison finds), that torchvision is not there.
    """
    loggers = [logging.getLogger(f'torch.{name}') for name in TALK]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
