"""Regularizers of a GAN's two sides, and when they are due."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmamp.models.losses import (
    DiscriminatorPenalty,
    PathLength,
    WeightRegularizer,
)
from mmamp.registry import built
from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import TrueGradients


def build_regularizers(
    name: str, modules: Sequence[dict[str, Any] | nn.Module]
) -> nn.ModuleList:
    """Build regularizers from configs.

    Args:
        name (str): What the user calls them.
        modules (Sequence[dict or nn.Module]): Each of them.
    """
    return nn.ModuleList(built(name, module) for module in modules)


def check_regularizers(
    of_disc: nn.ModuleList,
    of_gen: nn.ModuleList,
    discriminator: nn.Module,
    generator: nn.Module,
) -> None:
    """Refuse a regularizer that is not for its network.

    Args:
        of_disc (nn.ModuleList): The discriminator's.
        of_gen (nn.ModuleList): The generator's.
        discriminator (nn.Module): The discriminator.
        generator (nn.Module): The generator.

    Raises:
        ValueError: If there is one.
    """
    for key, given, wrong, right in (
        ('disc', of_disc, PathLength, 'gen'),
        ('gen', of_gen, DiscriminatorPenalty, 'disc'),
    ):
        for regularizer in given:
            if isinstance(regularizer, wrong):
                raise ValueError(
                    f'{key}_regularizers: {type(regularizer).__name__} '
                    f'belongs into {right}_regularizers'
                )
    for network, given in ((discriminator, of_disc), (generator, of_gen)):
        for regularizer in given:
            if isinstance(regularizer, WeightRegularizer):
                regularizer.check(network)
            elif network is generator:
                _check_two_part(generator, type(regularizer).__name__)


def _check_two_part(generator: nn.Module, name: str) -> None:
    missing = [
        x for x in ('mapping', 'synthesis') if not hasattr(generator, x)
    ]
    if missing:
        raise ValueError(
            f'gen_regularizers: {name} needs a generator with the methods '
            f'`mapping` and `synthesis`, but {type(generator).__name__} has '
            f'no {" and no ".join(missing)}'
        )


def weight_terms(
    side: str,
    regularizers: nn.ModuleList,
    network: nn.Module,
    position: tuple[int, int],
) -> dict[str, Tensor]:
    """Return what is due of a network's weights alone, by name.

    Args:
        side (str): What its losses have in their names: both sides may have
            a term of one type.
        regularizers (nn.ModuleList): All of a side.
        network (nn.Module): In model wrappers or not.
        position (tuple[int, int]): Of the micro-batch.
    """
    return {
        name.replace('_', f'_{side}_', 1): regularizer(unwrap(network))
        for name, regularizer in _due(regularizers, position)
        if isinstance(regularizer, WeightRegularizer)
    }


def penalties(
    regularizers: nn.ModuleList, position: tuple[int, int]
) -> Iterator[tuple[str, Any]]:
    """Yield those due that differentiate a network, by name.

    Args:
        regularizers (nn.ModuleList): All of a side.
        position (tuple[int, int]): Of the micro-batch.
    """
    for name, regularizer in _due(regularizers, position):
        if not isinstance(regularizer, WeightRegularizer):
            yield name, regularizer


def _due(
    regularizers: nn.ModuleList, position: tuple[int, int]
) -> Iterator[tuple[str, Any]]:
    """Yield the regularizers due: in a whole window, or in nothing of it.

    Each with the name of its loss, which says the how many-th of its type in
    the config it is, from the second on.
    """
    update, _ = position
    seen: Counter[str] = Counter()
    given: list[Any] = list(regularizers)
    for regularizer in given:
        name = f'loss_{type(regularizer).__name__.lower()}'
        seen[name] += 1
        number = f'_{seen[name]}' if seen[name] > 1 else ''
        if regularizer.is_due(update):
            yield f'{name}{number}', regularizer


def grad_of(optimizer_wrapper: OptimWrapper) -> Any:
    """Return what takes true gradients: the wrapper's ``grad``, or torch's."""
    if isinstance(optimizer_wrapper, TrueGradients):
        return optimizer_wrapper.grad
    return torch.autograd.grad
