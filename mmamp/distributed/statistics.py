"""Buffers that are one over the ranks, as those of a checkpoint are."""

from collections import defaultdict

import torch
from mmengine.dist import all_reduce_params, broadcast, get_world_size
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mmamp.compat.torch import (
    BatchStatistics,
    buffers_of,
    non_persistent_buffers,
)
from mmamp.utils.memory import is_plain

from .no_sync import ignored


def unify_buffers(model: nn.Module) -> None:
    """Give all ranks the same persistent buffers.

    Running statistics become their mean over the ranks: those of batch norm,
    and what a module's class names in ``rank_statistics``, a tuple of buffers.
    Anything else is what the first rank has, which is what a checkpoint has,
    but what DDP was told to ignore. All ranks have to call it; two
    collectives for each dtype, however many buffers there are.

    Args:
        model (nn.Module): Changed in place, averages in it too.
    """
    if get_world_size() == 1:
        return
    own = ignored(model)
    means: dict[Tensor, None] = {}
    others: dict[tuple[torch.device, torch.dtype], dict[Tensor, None]] = (
        defaultdict(dict)
    )
    for module in model.modules():
        for name, buffer in buffers_of(module).items():
            if (
                buffer is None
                or is_lazy(buffer)
                or not is_plain(buffer)
                or id(buffer) in own
                # Such as an expanded one, whose numbers lie upon each other.
                or (buffer.numel() > 1 and 0 in buffer.stride())
                or name in non_persistent_buffers(module)
            ):
                continue
            is_mean = isinstance(module, BatchStatistics) or (
                name in getattr(type(module), 'rank_statistics', ())
            )
            if is_mean and buffer.is_floating_point():
                means[buffer] = None
            else:
                others[buffer.device, buffer.dtype][buffer] = None
    of_dtype: dict[torch.dtype, list[Tensor]] = defaultdict(list)
    for buffer in means:
        of_dtype[buffer.dtype].append(buffer)
    for buffers in of_dtype.values():
        all_reduce_params(buffers, op='mean')
    with torch.no_grad():
        for same in others.values():
            whole = torch.cat([x.reshape(-1) for x in same])
            # As bytes: NCCL does not know all kinds of numbers.
            broadcast(whole.view(torch.uint8))
            parts = whole.split([x.numel() for x in same])
            for buffer, part in zip(same, parts, strict=True):
                buffer.copy_(part.view(buffer.shape))
