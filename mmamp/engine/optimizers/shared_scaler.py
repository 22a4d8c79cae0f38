"""Several optimizers that share one loss scaler."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class ScalerCycle:
    """Which of the optimizers that share a scaler have ended a window.

    The scale falls with the first window that shows it to be too high. It
    grows by cycles, which are over when every optimizer has ended a window:
    two optimizers that step in turn make it grow no faster than one.
    """

    PATIENCE = 100
    """Windows of one optimizer in a cycle; then it does not wait for the
    others, which may not be trained any more."""

    def __init__(self) -> None:
        self.members: list[Optimizer] = []
        self._ended: dict[int, int] = {}  # windows, by the member's place
        self._found: Tensor | None = None
        # Since somebody scaled by hand; None if nobody did.
        self._stepped: list[Optimizer] | None = None

    @property
    def is_shared(self) -> bool:
        """bool: Whether there is more than one optimizer."""
        return len(self.members) > 1

    def end(self, optimizer: Optimizer, found: Tensor) -> tuple[bool, Tensor]:
        """Note the end of a window.

        Args:
            optimizer (Optimizer): Whose.
            found (Tensor): A scalar boolean: whether it was not finite at the
                present scale.

        Returns:
            tuple[bool, Tensor]: Whether the cycle is over, and whether any
            window in it was not finite.
        """
        member = next(i for i, x in enumerate(self.members) if x is optimizer)
        self._ended[member] = self._ended.get(member, 0) + 1
        self._found = found if self._found is None else self._found | found
        found = self._found
        is_over = self._ended[member] >= self.PATIENCE or len(
            self._ended
        ) == len(self.members)
        if is_over:
            self._ended, self._found = {}, None
        return is_over, found

    def begin_by_hand(self) -> None:
        """Note that somebody scales a loss by hand, without a window."""
        self._stepped = []

    def end_by_hand(self, optimizer: Optimizer) -> None:
        """Note that the gradients of such a loss are used, or dropped."""
        if self._stepped is not None and self.is_by_hand(optimizer):
            self._stepped.append(optimizer)

    def is_by_hand(self, optimizer: Optimizer) -> bool:
        """Tell whether an optimizer has not used such a loss yet."""
        return self._stepped is not None and not any(
            optimizer is stepped for stepped in self._stepped
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what the rest of the cycle needs, as plain numbers."""
        return dict(
            ended=[self._ended.get(i, 0) for i in range(len(self.members))],
            found_inf=self._found is not None and bool(self._found),
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on inside of a cycle."""
        self._ended = {i: n for i, n in enumerate(state['ended']) if n}
        self._found = None
        if self._ended:
            self._found = torch.tensor(bool(state['found_inf']))
