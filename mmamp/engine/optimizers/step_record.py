"""What happened to the windows of one optimizer."""

import math
from typing import Any

import torch
from torch import Tensor

RECOVERY = 1 / 64
"""What a finite window takes off the count of stuck ones: a penalty that is
computed now and then, and is never finite, shall be noticed; a stray window
now and then shall not add up."""


class StepRecord:
    """Counts windows and skipped ones, and keeps the last finite norm.

    Where only the device knows whether a step was skipped (fused optimizers)
    the record keeps tensors, and waits for them when it is read.
    """

    def __init__(self) -> None:
        self.windows = 0
        self._skipped: int | Tensor = 0
        self._last_skipped: bool | Tensor = False
        self._stuck: float | Tensor = 0.0
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
            changes = torch.where(finite, -RECOVERY, 1.0)
            counts = (self._stuck + changes).clamp(min=0.0)
            self._stuck = counts * torch.as_tensor(at_minimum).to(norm.device)
        else:
            self._last_skipped = not finite
            if finite:
                self._grad_norm = norm
            else:
                self._skipped = self._skipped + 1
            # Where nothing is stuck, nobody need ask the device.
            if not finite or self._stuck:
                change = -RECOVERY if finite else 1.0
                count = max(float(self._stuck) + change, 0.0)
                self._stuck = count if bool(at_minimum) else 0.0

    @property
    def last_skip(self) -> bool | Tensor:
        """bool or Tensor: Whether the last window was skipped."""
        return self._last_skipped

    @property
    def last_was_skipped(self) -> bool:
        """bool: The same; waits for the device."""
        return bool(self._last_skipped)

    @property
    def skips(self) -> int | Tensor:
        """int or Tensor: Windows skipped so far."""
        return self._skipped

    @property
    def skipped(self) -> int:
        """int: The same; waits for the device."""
        return int(self._skipped)

    @property
    def stuck(self) -> int:
        """int: Skipped windows that no lower scale could mend.

        Sixty-four finite ones make up for one; a scale that is above its
        minimum again, for all.
        """
        return math.ceil(float(self._stuck))

    def forget_stuck(self) -> None:
        """Count stuck windows from zero."""
        self._stuck = 0.0

    @property
    def norm(self) -> Tensor | None:
        """Tensor or None: The last finite norm, on its device."""
        return self._grad_norm

    @property
    def grad_norm(self) -> float | None:
        """float or None: The last finite norm, once there is one."""
        return None if self._grad_norm is None else float(self._grad_norm)

    def state_dict(self) -> dict[str, float]:
        """Return the counters as plain numbers."""
        return dict(
            windows=self.windows,
            skipped=self.skipped,
            stuck=float(self._stuck),
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from a saved state."""
        self.windows = state_dict.get('windows', 0)
        self._skipped = state_dict.get('skipped', 0)
        self._stuck = state_dict.get('stuck', 0.0)
