"""Whether all ranks train the same weights."""

import hashlib
from collections.abc import Iterable
from typing import Any

import torch
from mmengine.dist import all_gather, get_world_size
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmamp.utils.modules import named_modules

from .no_sync import ignored
from .sharding import is_sharded

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
    trained = {id(param) for param in held} - ignored(model)
    found: dict[str, nn.Parameter] = {}
    for names, module in named_modules(model):
        for name, param in module.named_parameters(recurse=False):
            if id(param) in trained and not is_sharded(param):
                found[f'{names[0]}.{name}'.lstrip('.')] = param
    return found


def first_difference(
    params: dict[str, nn.Parameter], group: Any = None
) -> tuple[str, int] | None:
    """Compare parameters over the ranks, bit for bit.

    All ranks have to call it. Each sends one number, and more only where they
    differ.

    Args:
        params (dict[str, Parameter]): By name.
        group (ProcessGroup, optional): To talk over. Defaults to the default
            one.

    Returns:
        tuple[str, int] or None: The name of the first that differs, and how
        many do.
    """
    if get_world_size() == 1 or not params:
        return None
    sums = _sums([*params.values()])
    text = hashlib.sha256(repr([*params, sums.tolist()]).encode()).digest()
    whole = torch.tensor([int.from_bytes(text[:7], 'big')])
    if len({int(x) for x in all_gather(whole, group)}) == 1:
        return None
    first, *others = all_gather(sums, group)
    differ = torch.stack([first != other for other in others]).any(0)
    names = [
        name
        for name, does in zip(params, differ.tolist(), strict=True)
        if does
    ]
    return (names[0], len(names)) if names else None


def _sums(params: list[nn.Parameter]) -> Tensor:
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
