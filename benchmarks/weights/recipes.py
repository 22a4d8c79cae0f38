"""Weights by a formula, so that they can be made without the network."""

import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmamp.weights.norms import right_vector

POWER_ITERATIONS = 10
_RESIDUAL = re.compile(r'(body|trunk_net)\.\d+\.conv2')
CONSTANTS = ('kernel', 'resample_filter')


@dataclass(frozen=True)
class Entry:
    """How one tensor is made.

    Args:
        name (str): In the state dict.
        shape (tuple[int, ...]): Of it.
        kind (str): ``'noise'``; ``'positive'``, for variances; ``'unit'``, a
            vector of length 1; ``'right'``, computed from the one on the
            left; ``'constant'``; ``'count'``, an integer.
        mean (float): Of noise, or the constant's sum.
        scale (float): Deviation of noise.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    mean: float = 0.0
    scale: float = 1.0

    def make(self, seed: int) -> Tensor:
        """Make the tensor, but for what others decide.

        Args:
            seed (int): Another one gives another tensor.
        """
        if self.kind == 'count':
            return torch.full(self.shape, int(self.mean))
        if self.kind == 'constant':
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
            return torch.outer(taps, taps) / 64 * self.mean
        x = noise(self.shape, seed)
        if self.kind == 'positive':
            return x.abs() + 0.5
        if self.kind == 'unit':
            return F.normalize(x, dim=-1)
        return x * self.scale + self.mean


def noise(shape: Sequence[int], seed: int) -> Tensor:
    """Return numbers that look random, of variance 1.

    A formula of the index, which any release of torch gives the same by.

    Args:
        shape (Sequence[int]): Of the tensor.
        seed (int): Another one gives others.
    """
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    waves = torch.sin((index + 1) * 12.9898 + (seed + 1) * 78.233) * 43758.5453
    uniform = (waves - waves.floor()) * 2 - 1
    return (uniform * 3**0.5).float().reshape(tuple(shape))


def recipe_of(network: nn.Module) -> list[Entry]:
    """Describe weights and statistics for a network, as if it were trained.

    Args:
        network (nn.Module): Whose state dict they are for.
    """
    return [
        _entry(network, name, x) for name, x in network.state_dict().items()
    ]


def _entry(network: nn.Module, name: str, x: Tensor) -> Entry:
    leaf, shape = name.rsplit('.', 1)[-1], tuple(x.shape)
    if not x.is_floating_point():
        return Entry(name, shape, 'count', 3)
    if leaf in CONSTANTS:
        return Entry(name, shape, 'constant', float(x.sum()))
    if leaf in ('running_var', 'stored_var'):
        return Entry(name, shape, 'positive')
    if leaf in ('u0', 'weight_u'):
        return Entry(name, shape, 'unit')
    if leaf == 'weight_v':
        return Entry(name, shape, 'right')
    if leaf in ('weight', 'gain') and x.dim() == 1:
        return Entry(name, shape, 'noise', 1.0, 0.2)
    if leaf == 'gamma':
        return Entry(name, shape, 'noise', 0.5, 0.0)
    if leaf in ('weight', 'weight_orig') and x.dim() > 1:
        return Entry(name, shape, 'noise', 0.0, _deviation(network, name, x))
    return Entry(name, shape, 'noise', 0.0, 0.1)


def _deviation(network: nn.Module, name: str, x: Tensor) -> float:
    """Keep the variance of features, as initialisations do."""
    owner: Any = network.get_submodule(name.rpartition('.')[0])
    # Equalised learning rates: the network scales them.
    for slower in ('bias_gain', 'lr_mul'):
        if hasattr(owner, slower):
            return 1.0 / float(getattr(owner, slower))
    if hasattr(owner, 'weight_gain') or (
        name.endswith('weight_orig') and not hasattr(owner, 'weight_u')
    ):
        return 1.0
    if isinstance(owner, nn.Embedding):
        return 1.0
    fan = x[0].numel()
    if isinstance(owner, nn.ConvTranspose2d):
        fan = x.shape[0] * x[0, 0].numel() // owner.stride[0] ** 2
    # What residual blocks without a norm add is small, or the sum grows.
    small = 0.1 if _RESIDUAL.match(name) else 1.0
    return round(small * float((1.5 / max(fan, 1)) ** 0.5), 6)


def build(recipe: Sequence[Entry], seed: int) -> dict[str, Tensor]:
    """Make a state dict.

    Args:
        recipe (Sequence[Entry]): Of its tensors.
        seed (int): Of a network; others get other weights.
    """
    state = {
        entry.name: entry.make(1000 * seed + i)
        for i, entry in enumerate(recipe)
        if entry.kind != 'right'
    }
    for entry in recipe:
        base, _, leaf = entry.name.rpartition('.')
        if leaf in ('u0', 'weight_u'):
            of_torch = leaf == 'weight_u'
            name = f'{base}.weight_orig' if of_torch else f'{base}.weight'
            state[entry.name] = _settled(state[name], state[entry.name])
            if of_torch:
                state[f'{base}.weight_v'] = right_vector(
                    state[name], state[entry.name]
                )
    return {entry.name: state[entry.name] for entry in recipe}


def _settled(weight: Tensor, u: Tensor) -> Tensor:
    """Let spectral norm find its vector, almost, as training does."""
    new = u.flatten()
    for _ in range(POWER_ITERATIONS):
        v = right_vector(weight, new)
        new = F.normalize(weight.flatten(1) @ v, dim=0)
    return new.view_as(u)


def to_json(recipe: Sequence[Entry]) -> list[list[Any]]:
    """Return what a file of JSON holds of a recipe."""
    return [list(astuple(entry)) for entry in recipe]


def from_json(rows: Sequence[Sequence[Any]]) -> list[Entry]:
    """Undo :func:`to_json`."""
    return [Entry(name, tuple(shape), *rest) for name, shape, *rest in rows]
