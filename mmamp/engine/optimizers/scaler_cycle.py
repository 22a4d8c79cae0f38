"""Several optimizers that share one loss scaler."""

from typing import Any

import torch


class ScalerCycle:
    """Which of the optimizers that share a scaler have ended a window."""

    PATIENCE = 100
    """Windows of one optimizer in a cycle; then the others are not waited
    for: a scale that nobody may change would skip every window."""

    def __init__(self) -> None:
        self.members: list[int] = []
        self.open: set[int] = set()
        self.found: list[torch.Tensor] = []
        self._ended: dict[int, int] = {}

    @property
    def is_shared(self) -> bool:
        """bool: Whether there is more than one optimizer."""
        return len(self.members) > 1

    def end(self, member: int, found: list[torch.Tensor]) -> bool:
        """Note the end of a window; tell whether the cycle is over."""
        self.found += found
        if not self.is_shared:
            return True
        self._ended[member] = self._ended.get(member, 0) + 1
        if self.open:
            return False  # gradients of this scale are being made
        return self._ended[
            member
        ] >= self.PATIENCE or self._ended.keys() >= set(self.members)

    def restart(self) -> None:
        """Begin the next cycle."""
        self.found = []
        self._ended = {}

    def state_dict(self) -> dict[str, Any]:
        """Return what the rest of the cycle needs, as plain numbers."""
        return dict(
            ended=[self._ended.get(member, 0) for member in self.members],
            found_inf=any(bool(f) for f in self.found),
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on inside of a cycle."""
        ended = zip(self.members, state['ended'], strict=False)
        self._ended = {member: n for member, n in ended if n}
        if self._ended:
            self.found = [torch.tensor(float(state['found_inf']))]
