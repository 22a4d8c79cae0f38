"""Norms of other codebases: spectral norm, and BatchNorm by other names."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .rules import Leaves, Tensors

_ORIGINAL = 'parametrizations.weight.original'
_U = 'parametrizations.weight.0._u'
_V = 'parametrizations.weight.0._v'
_EPS = 1e-12


def _float32(weight: Tensor) -> Tensor:
    """Return a weight as a matrix whose largest element is one."""
    matrix = weight.detach().float().flatten(1)
    return matrix / matrix.abs().amax().clamp(min=1e-30)


def right_vector(weight: Tensor, u: Tensor) -> Tensor:
    """Compute spectral norm's ``v`` of its ``u``.

    Args:
        weight (Tensor): Of shape (O, ...).
        u (Tensor): Of shape (O, ).

    Returns:
        Tensor: float32, of unit length.
    """
    return F.normalize(u.float() @ _float32(weight), dim=0, eps=_EPS)


def _read_of_u(theirs: Tensors) -> Tensors:
    """Take the step that BigGAN-PyTorch takes in each forward.

    It keeps ``u`` alone, and norms by a power iteration of it, in evaluation
    too.
    """
    weight = theirs['weight']
    v = right_vector(weight, theirs['u0'][0])
    u = F.normalize(_float32(weight) @ v, dim=0, eps=_EPS)
    return {_ORIGINAL: weight, _U: u, _V: v}


def _write_of_u(ours: Tensors) -> Tensors:
    weight, u, v = ours[_ORIGINAL], ours[_U], ours[_V]
    sigma = u @ weight.float().flatten(1) @ v
    return {'weight': weight, 'u0': u[None], 'sv0': sigma.reshape(1)}


OF_U = Leaves(
    ('weight', 'u0', 'sv0'),
    (_ORIGINAL, _U, _V),
    _read_of_u,
    _write_of_u,
    optional=('sv0',),
    lost=('u0', 'sv0'),
)
"""Spectral norm of BigGAN-PyTorch; ``sv0`` is a figure for its log."""


def _read_of_torch(theirs: Tensors) -> Tensors:
    weight, u = theirs['weight_orig'], theirs['weight_u']
    # Checkpoints of torch before 1.1 have no v.
    v = theirs.get('weight_v')
    return {
        _ORIGINAL: weight,
        _U: u,
        _V: right_vector(weight, u) if v is None else v,
    }


OF_TORCH = Leaves(
    ('weight_orig', 'weight_u', 'weight_v'),
    (_ORIGINAL, _U, _V),
    _read_of_torch,
    lambda x: {
        'weight_orig': x[_ORIGINAL],
        'weight_u': x[_U],
        'weight_v': x[_V],
    },
    optional=('weight_v',),
)
"""Spectral norm of ``torch.nn.utils.spectral_norm``."""


STORED_NORM = Leaves(
    ('stored_mean', 'stored_var'),
    ('running_mean', 'running_var', 'num_batches_tracked'),
    lambda x: {
        'running_mean': x['stored_mean'],
        'running_var': x['stored_var'],
        'num_batches_tracked': torch.tensor(0),
    },
    lambda x: {
        'stored_mean': x['running_mean'],
        'stored_var': x['running_var'],
    },
)
"""Statistics of BigGAN-PyTorch's BatchNorm, which counts no batches."""
