"""The filter that StyleGAN2's codebases keep in each layer that resamples."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmamp.errors import UsageError

from .rules import Leaves, Tensors

_TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])
FIR_FILTER = torch.outer(_TAPS, _TAPS) / _TAPS.sum() ** 2
"""Of all published networks; here it is no part of checkpoints."""


def with_constants(
    names: Mapping[str, str], constants: Mapping[str, Tensor]
) -> Leaves:
    """Make leaves of tensors, and of constants that only theirs have.

    Args:
        names (Mapping[str, str]): Of tensors in theirs, and in ours.
        constants (Mapping[str, Tensor]): By their names; read ones must be
            the same.
    """

    def read(theirs: Tensors) -> Tensors:
        for name, wanted in constants.items():
            given = theirs[name].float().reshape(wanted.shape)
            if not torch.allclose(given, wanted, rtol=1e-5):
                raise UsageError(
                    f'SOURCE has another {name} than [1, 3, 3, 1] twice: '
                    f'{given.tolist()}'
                )
        return {ours: theirs[name] for name, ours in names.items()}

    def write(ours: Tensors) -> Tensors:
        tensors = {name: ours[own] for name, own in names.items()}
        return tensors | {k: v.clone() for k, v in constants.items()}

    return Leaves((*names, *constants), tuple(names.values()), read, write)
