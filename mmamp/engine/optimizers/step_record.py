"""What happened to the windows of one optimizer."""

import torch
from torch import Tensor


class StepRecord:
    """Counts windows and skipped ones, and keeps the last finite norm.

    Where only the device knows whether a step was skipped (fused optimizers)
    the record keeps tensors, and waits for them when it is read.
    """

    def __init__(self) -> None:
        self.windows = 0
        self._skipped: int | Tensor = 0
        self._last_skipped: bool | Tensor = False
        self._stuck: int | Tensor = 0
        self._grad_norm: Tensor | None = None

    def add(
        self,
        norm: Tensor,
        finite: bool | Tensor,
        at_minimum: bool | Tensor = True,
    ) -> None:
        """Record one window.

        Args:
            norm (Tensor): Scalar norm of its unscaled gradients.
            finite (bool or Tensor): Whether they were all finite; a scalar
                boolean tensor if only the device knows.
            at_minimum (bool or Tensor): Whether the loss scale cannot fall
                any further. Defaults to True: there is none.
        """
        self.windows += 1
        if isinstance(finite, Tensor):
            last = self._grad_norm
            if last is None:
                last = torch.zeros_like(norm)
            self._grad_norm = torch.where(finite, norm, last)
            self._last_skipped = ~finite
            self._skipped = self._skipped + self._last_skipped.long()
            self._stuck = torch.where(
                self._last_skipped & at_minimum, self._stuck + 1, 0
            )
        else:
            self._last_skipped = not finite
            if finite:
                self._grad_norm = norm
                self._stuck = 0
            else:
                self._skipped = self._skipped + 1
                self._stuck = self._stuck + 1 if bool(at_minimum) else 0

    @property
    def last_was_skipped(self) -> bool:
        """bool: Whether the last window was skipped."""
        return bool(self._last_skipped)

    @property
    def skipped(self) -> int:
        """int: Windows skipped so far."""
        return int(self._skipped)

    @property
    def stuck(self) -> int:
        """int: Windows skipped in a row that no lower scale could mend."""
        return int(self._stuck)

    @property
    def grad_norm(self) -> float | None:
        """float or None: The last finite norm, once there is one."""
        return None if self._grad_norm is None else float(self._grad_norm)

    def state_dict(self) -> dict[str, int]:
        """The counters as plain numbers."""
        return dict(windows=self.windows, skipped=self.skipped)

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on counting from a saved state."""
        self.windows = state_dict.get('windows', 0)
        self._skipped = state_dict.get('skipped', 0)
