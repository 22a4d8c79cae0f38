"""Iterations when they are asked for, as seen from the process that trains."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from mmamp.precision.devices import PeakMemory, current


class Stopwatch:
    """Seconds; of a CUDA device by events on its own clock."""

    def start(self) -> None:
        """Begin, when the device has nothing to do."""
        self._events: tuple[Any, ...] = ()
        if torch.cuda.is_available():
            first, last = (
                torch.cuda.Event(enable_timing=True) for _ in range(2)
            )
            first.record()
            self._events = first, last
        self._start = time.perf_counter()

    def stop(self) -> float:
        """Return the seconds until all is done that the device was given."""
        if not self._events:
            current().synchronize()
            return time.perf_counter() - self._start
        first, last = self._events
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last)) / 1000


class Turns:
    """Waits for its turn, and says how long its iterations took.

    Args:
        pipe (Connection): Iterations to run come through it, None at the end;
            seconds go back.

    Attributes:
        memory (PeakMemory): Since this was made.
        before (int): The peak in bytes before the first iteration.
    """

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self.memory = PeakMemory()
        self.before: int | None = None
        self._watch = Stopwatch()

    def begin(self) -> bool:
        """Wait for a turn, and tell whether there is one."""
        if self.before is None:
            self.before = self.memory.so_far()
        self._left = self._pipe.recv()
        self._watch.start()
        return self._left is not None

    def done(self) -> bool:
        """Note that an iteration is done, and tell whether to go on."""
        self._left -= 1
        if self._left:
            return True
        self._pipe.send(self._watch.stop())
        return self.begin()


class TurnsHook(Hook):
    """Has a Runner train in turns.

    Args:
        turns (Turns): The turns.
        filled (int): Iterations that histories are filled with. Defaults
            to 0.
    """

    # An iteration ends after all that the others do.
    priority = 'LOWEST'

    # Until then some of the histories are exchanged for others.
    FILL_AFTER = 3

    def __init__(self, turns: Turns, filled: int = 0) -> None:
        self._turns, self._filled = turns, filled

    def before_train(self, runner: Any) -> None:
        """Wait for the first turn."""
        runner.train_loop.stop_training = not self._turns.begin()

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        """End the turn, or the run, where that is due."""
        if runner.iter == self.FILL_AFTER and self._filled:
            fill(runner.message_hub.log_scalars, self._filled)
        runner.train_loop.stop_training = not self._turns.done()


def fill(scalars: dict[str, HistoryBuffer], length: int) -> None:
    """Make histories what so many iterations would have made them.

    Args:
        scalars (dict[str, HistoryBuffer]): By name; changed in place.
        length (int): Iterations.
    """
    for name, history in scalars.items():
        if type(history) is HistoryBuffer:
            # One that copies itself at each value would take minutes.
            values, counts = history.data
            scalars[name] = HistoryBuffer(
                np.resize(values, length), np.resize(counts, length)
            )
            continue
        add: Callable[[float], None] = history.update
        for _ in range(length):
            add(0.0)
