"""Whether all ranks train the same weights."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from mmengine.dist import all_gather, get_world_size
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmamp.utils.modules import named_modules

from .no_sync import ignored
from .sharding import is_sharded, local

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def trained_by_all(
    model: nn.Module, held: Iterable[nn.Parameter]
) -> dict[str, nn.Parameter]:
    """Return the parameters that should be the same on all ranks, by name.

    Args:
        model (nn.Module): In model wrappers or not. What DDP was told to
            ignore, and what is sharded, is left out.
        held (Iterable[Parameter]): What its optimizers have.
    """
    if any(isinstance(m, FullyShardedDataParallel) for m in model.modules()):
        return {}
    own = ignored(model)
    return {
        name: param
        for name, param in _named(model, held)
        if id(param) not in own and not is_sharded(param)
    }


def held_in_copies(
    model: nn.Module, held: Iterable[nn.Parameter]
) -> tuple[dict[str, Tensor], int]:
    """Return this rank's parts of what several groups of ranks have.

    Args:
        model (nn.Module): In model wrappers or not.
        held (Iterable[Parameter]): What its optimizers have.

    Returns:
        tuple[dict[str, Tensor], int]: The parts, by name, and how many ranks
        a group has.
    """
    found: dict[str, Tensor] = {}
    size = get_world_size()
    for name, param in _named(model, held):
        mesh = getattr(param, 'device_mesh', None)
        if mesh is not None and mesh.ndim > 1:
            found[name] = local(param)
            size = mesh.size(mesh.ndim - 1)
    return found, size


def _named(
    model: nn.Module, held: Iterable[nn.Parameter]
) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield what optimizers hold of a model."""
    trained = {id(param) for param in held}
    for names, module in named_modules(model):
        for name, param in module.named_parameters(recurse=False):
            if id(param) in trained:
                yield f'{names[0]}.{name}'.lstrip('.'), param


def first_difference(
    params: Mapping[str, Tensor], group: Any = None, size: int = 1
) -> tuple[str, int] | None:
    """Compare parameters over the ranks, bit for bit.

    All ranks have to call it. Each sends one number, and more only where they
    differ.

    Args:
        params (dict[str, Parameter]): By name.
        group (ProcessGroup, optional): To talk over. Defaults to the default
            one.
        size (int): Ranks of a group of neighbours, the first of which are to
            have the same as the first of other groups, and so on. Defaults to
            1: all are.

    Returns:
        tuple[str, int] or None: The name of the first that differs, and how
        many do.
    """
    if get_world_size() == 1 or not params:
        return None
    sums = _sums([*params.values()])
    text = hashlib.sha256(repr([*params, sums.tolist()]).encode()).digest()
    whole = torch.tensor([int.from_bytes(text[:7], 'big')])
    told = [int(x) for x in all_gather(whole, group)]
    if told == [told[i % size] for i in range(len(told))]:
        return None
    of_all = all_gather(sums, group)
    differ = torch.stack(
        [x != of_all[i % size] for i, x in enumerate(of_all)]
    ).any(0)
    names = [
        name
        for name, does in zip(params, differ.tolist(), strict=True)
        if does
    ]
    return (names[0], len(names)) if names else None


def _sums(params: list[Tensor]) -> Tensor:
    """Return a number for the bits of each parameter, on the CPU."""
    of_device: dict[torch.device, list[int]] = {}
    for i, param in enumerate(params):
        of_device.setdefault(param.device, []).append(i)
    sums = torch.zeros(len(params), dtype=torch.int64)
    for places in of_device.values():
        values = [_sum(params[i].detach()) for i in places]
        sums[places] = torch.stack(values).cpu()
    return sums


def _sum(values: Tensor) -> Tensor:
    if values.is_complex():
        values = torch.view_as_real(values)
    return values.view(_BITS[values.element_size()]).sum(dtype=torch.int64)
