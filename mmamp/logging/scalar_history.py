"""The history of a logged scalar, at a price that does not grow."""

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor


class ScalarHistory(HistoryBuffer):
    """A ``HistoryBuffer`` that costs the same at every iteration.

    MMEngine's copies its whole history whenever a value is added. This one
    keeps the last ``max_length`` values and takes tensors as they are, so
    that no training step waits for its device: whoever reads the history
    waits, once for all of them. It is pickled as what MMEngine knows.

    Args:
        log_history (Sequence[float]): Values so far. Defaults to none.
        count_history (Sequence[int]): How many each of them stands for.
            Defaults to none.
        max_length (int): Values that are kept. Defaults to 1000000, as in
            MMEngine.

    Examples:
        >>> history = ScalarHistory([0.5], [1], max_length=1000)
        >>> history.add(torch.tensor(0.25))
        >>> history.mean(2)
        0.375
    """

    most_pending = 1000
    """Tensors that wait to be read at most, so that memory is bounded."""

    def __init__(
        self,
        log_history: Any = (),
        count_history: Any = (),
        max_length: int = 1000000,
    ) -> None:
        self._pending: list[float | Tensor] = []
        self._pending_counts: list[float] = []
        # The arrays have room at their end.
        self._values = self._counts = np.empty(0, int)
        self._kept = slice(0, 0)
        super().__init__(log_history, count_history, max_length)

    @classmethod
    def of(cls, history: HistoryBuffer, max_length: int) -> 'ScalarHistory':
        """Make a history that goes on from another.

        Args:
            history (HistoryBuffer): The other.
            max_length (int): Values that are kept from now on.
        """
        values, counts = history.data
        return cls(values[-max_length:], counts[-max_length:], max_length)

    def update(self, log_val: float, count: float = 1) -> None:
        """Add a number.

        Args:
            log_val (int or float): The value.
            count (int or float): How many it stands for. Defaults to 1.

        Raises:
            TypeError: If one of them is no number.
        """
        if not (
            isinstance(log_val, (int, float))
            and isinstance(count, (int, float))
        ):
            raise TypeError(
                'a value and its count must be an int or a float, but got '
                f'{log_val!r} and {count!r}'
            )
        self.add(log_val, count)

    def add(self, value: float | Tensor, count: float = 1) -> None:
        """Add a number that may still be being computed.

        Args:
            value (float or Tensor): With one element. Nothing may change it
                afterwards.
            count (int or float): How many it stands for. Defaults to 1.
        """
        if isinstance(value, Tensor):
            value = value.detach()
        self._pending.append(value)
        self._pending_counts.append(count)
        if len(self._pending) >= self.most_pending:
            self._take_pending()

    def current(self) -> Any:
        """Return the last value; the timer asks for it in every iteration."""
        if self._pending and type(self._pending[-1]) is float:
            return np.float64(self._pending[-1])
        return super().current()

    # What MMEngine's statistics, and those that users register, read.

    @property
    def _log_history(self) -> np.ndarray:
        self._take_pending()
        return self._values[self._kept]

    @_log_history.setter
    def _log_history(self, values: np.ndarray) -> None:
        """Take what MMEngine's constructor sets."""
        self._values, self._kept = values, slice(0, len(values))

    @property
    def _count_history(self) -> np.ndarray:
        self._take_pending()
        return self._counts[self._kept]

    @_count_history.setter
    def _count_history(self, counts: np.ndarray) -> None:
        self._counts = counts

    def _take_pending(self) -> None:
        """Move what waits into the arrays."""
        if not self._pending:
            return
        values = np.array(_numbers(self._pending))
        counts = np.array(self._pending_counts)
        start, end = self._kept.start, self._kept.stop + len(values)
        if end > len(self._values) or end > len(self._counts):
            kept, self._kept = self._kept, slice(0, end - start)
            start, end = 0, end - start
            self._values = _with_room(self._values[kept], 2 * end)
            self._counts = _with_room(self._counts[kept], 2 * end)
        self._values = _put(self._values, values, end)
        self._counts = _put(self._counts, counts, end)
        self._kept = slice(max(start, end - self.max_length), end)
        self._pending.clear()
        self._pending_counts.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        values, counts = self.data
        return HistoryBuffer, (
            values.tolist(),
            counts.tolist(),
            self.max_length,
        )


def add_scalar(hub: MessageHub, key: str, value: float | Tensor) -> None:
    """Add a number to a message hub, without waiting for it.

    Args:
        hub (MessageHub): As ``update_scalar`` would.
        key (str): Such as ``'train/grad_norm'``.
        value (float or Tensor): With one element. Nothing may change it
            afterwards.
    """
    scalars = hub.log_scalars
    history = scalars.get(key)
    if not isinstance(history, ScalarHistory):
        if history is None:
            history = ScalarHistory()
        else:
            history = ScalarHistory.of(history, history.max_length)
        scalars[key] = history
    history.add(value)


def _with_room(kept: np.ndarray, length: int) -> np.ndarray:
    array = np.empty(length, kept.dtype if len(kept) else int)
    array[: len(kept)] = kept
    return array


def _put(array: np.ndarray, new: np.ndarray, end: int) -> np.ndarray:
    """Write values that end at a place; whole numbers stay what they are."""
    array = array.astype(np.result_type(array, new), copy=False)
    array[end - len(new) : end] = new
    return array


def _numbers(values: list[float | Tensor]) -> list[float]:
    """Read values, waiting once for each device and dtype."""
    places: dict[Any, list[int]] = defaultdict(list)
    for i, value in enumerate(values):
        if isinstance(value, Tensor):
            places[value.device, value.dtype].append(i)
    numbers: list[Any] = list(values)
    for indices in places.values():
        stacked = torch.stack([values[i].reshape(()) for i in indices])  # type: ignore[union-attr]
        for i, number in zip(indices, stacked.tolist(), strict=True):
            numbers[i] = number
    return numbers
