"""Tensors and networks that FSDP2 shards over the ranks."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import is_main_process
from torch import Tensor, nn
from torch.optim import Optimizer

from mmamp.compat.torch import (
    FSDPModule,
    foreach_norm,
    set_versions,
    versions_of,
)

Place = tuple[Any, ...]
"""Keys and indices from the top of a state to what it holds there."""

# What users may rely on; the rest is for this package.
__all__ = ['whole']


def is_sharded(tensor: Any) -> bool:
    """Tell whether a tensor is this rank's part of one that all ranks hold."""
    return hasattr(tensor, 'full_tensor')


def local(tensor: Tensor) -> Tensor:
    """Return this rank's part of a sharded tensor; any other one itself."""
    return tensor.to_local() if hasattr(tensor, 'to_local') else tensor


def sharded_modules(model: nn.Module) -> list[Any]:
    """Return the modules that ``fully_shard`` was called on, outer first."""
    return [m for m in model.modules() if isinstance(m, FSDPModule)]


def gathered(value: Any) -> Any:
    """Gather a state's sharded tensors, whole, on the main process.

    All ranks have to call it, on states of the same structure.

    Args:
        value (Any): Tensors, and dicts, lists and tuples of anything.

    Returns:
        Any: A copy of the containers. What was sharded is on the CPU on the
        main process, and None on the others, which need no memory for it.
    """

    def whole(_: Place, tensor: Any) -> Tensor | None:
        if not is_sharded(tensor):
            return tensor  # type: ignore[no-any-return]
        full: Tensor = tensor.full_tensor()
        return full.cpu() if is_main_process() else None

    return with_tensors(value, whole)


def with_tensors(
    value: Any, change: Callable[[Place, Tensor], Any], at: Place = ()
) -> Any:
    """Return a copy of containers, each of its kind, with other tensors.

    Args:
        value (Any): A tensor, or dicts, lists and tuples of anything, such as
            a ``defaultdict`` or a named tuple.
        change (Callable): Is given where a tensor is, its keys and indices,
            and the tensor, and returns what stands for it.
        at (tuple): Where ``value`` is. Defaults to the top.
    """
    if isinstance(value, Tensor):
        return change(at, value)
    if isinstance(value, dict):
        result = copy.copy(value)  # a defaultdict's way of making items too
        for key, item in value.items():
            result[key] = with_tensors(item, change, (*at, key))
        if (versions := versions_of(value)) is not None:
            set_versions(result, versions)
        return result
    if isinstance(value, (list, tuple)):
        items = [
            with_tensors(x, change, (*at, i)) for i, x in enumerate(value)
        ]
        if hasattr(value, '_fields'):
            return type(value)(*items)
        return type(value)(items)
    return value


def shard_like(whole: Any, like: Any) -> Any:
    """Return this rank's part of a whole tensor, dealt out as another one is.

    Args:
        whole (Any): A tensor that every rank has, or a container of such.
        like (Any): A parameter.

    Returns:
        Any: ``whole`` itself where it is no tensor of the parameter's shape,
        or the parameter is not sharded.
    """

    def part(_: Place, tensor: Tensor) -> Tensor:
        if (
            not is_sharded(like)
            or is_sharded(tensor)
            or tensor.shape != like.shape
        ):
            return tensor
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(
            tensor.to(like.device),
            like.device_mesh,
            like.placements,
            src_data_rank=None,  # nothing is sent: each rank has read it all
        )

    return with_tensors(whole, part)


@contextmanager
def whole(network: nn.Module, optimizer: Optimizer) -> Iterator[None]:
    """Keep a sharded network's parameters gathered, once for all passes.

    A penalty on gradients needs it: its second backward pass comes back to
    parameters that FSDP2 would have let go of after the first. So do methods
    that are not ``forward``, for which FSDP2 gathers nothing.

    Args:
        network (nn.Module): Sharded or not.
        optimizer (Optimizer): The network's; what it has changed has to be
            gathered anew.
    """
    modules = sharded_modules(network)
    if not modules:
        yield
        return

    def let_go(*_: Any) -> None:
        for module in modules:
            module.reshard()

    for module in modules:
        module.set_reshard_after_forward(False, recurse=False)
        module.set_reshard_after_backward(False, recurse=False)
        module.unshard()
    stepped = optimizer.register_step_post_hook(let_go)
    try:
        yield
    finally:
        stepped.remove()
        let_go()
        for module in modules:
            module.set_reshard_after_forward(True, recurse=False)
            module.set_reshard_after_backward(True, recurse=False)


def are_plain(tensors: Iterable[Tensor]) -> bool:
    """Tell whether none is of a subclass, and so none is sharded.

    Args:
        tensors (Iterable[Tensor]): Any; cheaper than to look at each.
    """
    return {*map(type, tensors)} <= {Tensor}


def total_norm(
    grads: list[Tensor],
    norm_type: float = 2.0,
    scale: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Compute the norm of all gradients, parts on other ranks included.

    Args:
        grads (list[Tensor]): Dense, sharded or not, on one kind of device.
        norm_type (float): Of the norm; may be infinite. Defaults to 2.
        scale (Tensor, optional): What they are divided by first, in its
            dtype. Defaults to None.
        dtype (torch.dtype, optional): To compute in. Defaults to None: that
            of the gradients, but at least float32.

    Returns:
        Tensor: A scalar, the same on all ranks of the parts. It may overflow
        where they are finite.
    """
    if are_plain(grads):
        return _norm(grads, norm_type, scale, dtype)
    parts: dict[Any, list[Tensor]] = {}
    for grad in grads:
        mesh = grad.device_mesh if is_sharded(grad) else None  # type: ignore[attr-defined]
        parts.setdefault(mesh, []).append(local(grad))
    norms = [
        _over_ranks(_norm(tensors, norm_type, scale, dtype), norm_type, mesh)
        for mesh, tensors in parts.items()
    ]
    if len(norms) == 1:
        return norms[0]
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms), norm_type)
    return total


def _norm(
    tensors: list[Tensor],
    norm_type: float,
    scale: Tensor | None,
    dtype: torch.dtype | None,
) -> Tensor:
    # A rank may have no part of a small tensor.
    tensors = [t for t in tensors if t.numel()] or [tensors[0].new_zeros(1)]
    norms: Sequence[Tensor]
    if scale is not None:
        norms = [
            torch.linalg.vector_norm(
                t.detach().to(scale.dtype) / scale, norm_type
            )
            for t in tensors
        ]
    else:
        kinds = {t.dtype for t in tensors}
        if dtype is None and kinds - {torch.float32, torch.float64}:
            has_double = torch.float64 in kinds
            dtype = torch.float64 if has_double else torch.float32
        norms = foreach_norm(tensors, norm_type, dtype=dtype)
    device = norms[0].device
    total: Tensor = torch.linalg.vector_norm(
        torch.stack([norm.to(device) for norm in norms]), norm_type
    )
    return total


def _over_ranks(norm: Tensor, norm_type: float, mesh: Any) -> Tensor:
    """Combine the norms of parts that no two ranks share."""
    if mesh is None:
        return norm
    from torch.distributed import ReduceOp, all_reduce

    group = mesh.get_group(mesh.ndim - 1)  # copies come first
    if norm_type == float('inf'):
        norm = norm.where(~norm.isnan(), torch.inf)  # a maximum may drop it
        all_reduce(norm, ReduceOp.MAX, group=group)
        return norm
    power = norm**norm_type
    all_reduce(power, group=group)
    return power ** (1 / norm_type)
