"""The sizes of numbers, as their binary exponents.

After the pictures of Micikevicius et al., "Mixed Precision Training", ICLR
2018: a value is lost in a dtype where its exponent lies outside of what the
dtype has.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mmamp.precision.names import DTYPES

LOWEST, HIGHEST = -60, 40
"""Exponents that are told apart; what lies beyond counts as the last one."""
MOST_VALUES = 2**16
"""Of a larger tensor at most so many are looked at, evenly spread."""

RANGES = {row.name: row.exponents for row in DTYPES.values()}
"""Exponents of the smallest, the smallest normal and the largest number."""


@dataclass
class Sizes:
    """How large the values of one kind are, such as a module's outputs.

    Attributes:
        exponents (dict[int, int]): Finite values other than 0, by the
            exponent of 2 that they begin with.
        zeros (int): Values that are 0.
        nonfinite (int): Values that are infinite or not a number.
    """

    exponents: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    zeros: int = 0
    nonfinite: int = 0

    def add(self, values: Tensor) -> None:
        """Count a tensor's values.

        Args:
            values (Tensor): Floating; of any shape.
        """
        flat = values.detach().reshape(-1)
        flat = flat[:: -(-flat.numel() // MOST_VALUES) or 1].float()
        finite = torch.isfinite(flat)
        zero = flat == 0
        exponents = torch.frexp(flat[finite & ~zero])[1] - 1
        counts = torch.bincount(
            exponents.clamp(LOWEST, HIGHEST).long() - LOWEST,
            minlength=HIGHEST - LOWEST + 1,
        )
        # One transfer from the device.
        zeros, bad, *rest = torch.cat(
            [zero.sum()[None], (~finite).sum()[None], counts]
        ).tolist()
        self.zeros += zeros
        self.nonfinite += bad
        for i, count in enumerate(rest):
            if count:
                self.exponents[i + LOWEST] += count

    @property
    def total(self) -> int:
        """Return how many values were counted."""
        return self.zeros + self.nonfinite + sum(self.exponents.values())

    def share_below(self, exponent: int) -> float:
        """Return the share of values below a power of 2 that are not 0.

        Args:
            exponent (int): Of that power.
        """
        small = sum(n for e, n in self.exponents.items() if e < exponent)
        return small / max(self.total, 1)

    @property
    def zero_share(self) -> float:
        """Return the share of all values that are 0."""
        return self.zeros / max(self.total, 1)

    @property
    def nonfinite_share(self) -> float:
        """Return the share of all values that are not finite."""
        return self.nonfinite / max(self.total, 1)

    def state(self) -> dict[str, Any]:
        """Return the sizes as numbers and text, for JSON."""
        return dict(
            exponents={str(e): n for e, n in sorted(self.exponents.items())},
            zeros=self.zeros,
            nonfinite=self.nonfinite,
        )

    @classmethod
    def of(cls, state: dict[str, Any]) -> 'Sizes':
        """Read back what :meth:`state` returned."""
        exponents = {int(e): n for e, n in state['exponents'].items()}
        return cls(exponents, state['zeros'], state['nonfinite'])
