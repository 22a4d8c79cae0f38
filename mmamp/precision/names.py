"""The table of dtypes, by name. Nothing here imports torch.

A new dtype is a row of :data:`DTYPES`. What a device has of it, the device
says (``dtypes.autocast_dtypes``); a dtype that takes code of its own, as
scaled float8 does, has that in a file of its own beside this one.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dtype:
    """One row: a dtype that a config may name.

    Args:
        name (str): As in torch.
        exponents (tuple[int, int, int]): Exponents of 2 of the smallest
            number, the smallest normal one and the largest.
    """

    name: str
    exponents: tuple[int, int, int]

    @property
    def is_low(self) -> bool:
        """bool: Whether autocast has to be on for it."""
        return self.name != FULL

    @property
    def is_narrow(self) -> bool:
        """bool: Whether its range is less than float32's.

        Gradients vanish in it without a loss scale, and squares overflow.
        """
        return self.exponents[2] < 127


FULL = 'float32'
"""The dtype in which nothing is cast."""
AUTO = 'auto'
"""Stands for the best dtype that the hardware has."""
DTYPES = {
    row.name: row
    for row in (
        Dtype('float16', (-24, -14, 15)),
        Dtype('bfloat16', (-133, -126, 127)),
        Dtype(FULL, (-149, -126, 127)),
    )
}
"""All dtypes that there are here, by name."""
COMPARED = tuple(reversed(DTYPES))
"""The same names, float32 first, to which the others are compared."""
CHOICES = (*DTYPES, AUTO)
"""What a config may say; None stands for the device's default."""
LOW_CHOICES = tuple(x for x in CHOICES if x != FULL)
"""What ``--amp-dtype`` may say."""


def name_of(dtype: Any) -> str:
    """Return 'float16' for it, for ``torch.float16`` and its lazy forms.

    Args:
        dtype (str or torch.dtype or LazyAttr): A dtype, however it is given.
    """
    return str(dtype).removeprefix('torch.')


def described(choices: tuple[str, ...] = CHOICES) -> str:
    """Return what is valid, for an error.

    Args:
        choices (tuple[str]): Defaults to what a config may say.
    """
    return ', '.join(map(repr, choices))
