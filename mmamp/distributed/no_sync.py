"""Gradients that stay on their rank until the window ends."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from mmengine.dist import is_distributed
from mmengine.model import MMSeparateDistributedDataParallel
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmamp.utils.protocols import NoSync


def averaging(model: nn.Module) -> list[DistributedDataParallel]:
    """Return the DDP wrappers in a model, which may be one itself.

    Args:
        model (nn.Module): The model.
    """
    return [
        m for m in model.modules() if isinstance(m, DistributedDataParallel)
    ]


def ignored(model: nn.Module) -> set[int]:
    """Return the ids of parameters and buffers that DDP was told to ignore.

    Args:
        model (nn.Module): Holding DDP wrappers, or one itself.
    """
    return {
        id(tensor)
        for wrapper in averaging(model)
        for named in (
            wrapper.module.named_parameters(),
            wrapper.module.named_buffers(),
        )
        for name, tensor in named
        # MMEngine's separate wrapper has none of its own.
        if name in getattr(wrapper, 'parameters_to_ignore', ())
    }


@contextmanager
def no_sync(model: nn.Module) -> Iterator[None]:
    """Have no model wrapper in a model average gradients over the ranks.

    Args:
        model (nn.Module): Wrapped itself, holding networks that are, or
            neither.
    """
    with ExitStack() as stack:
        if is_distributed():
            for wrapper in _synchronising(model):
                stack.enter_context(wrapper.no_sync())
        yield


def _synchronising(module: nn.Module) -> Iterator[Any]:
    # That of MMEngine's separate wrapper covers its first network alone.
    kind: Any = type(module)
    if _keeps_gradients(kind) and not isinstance(
        module, MMSeparateDistributedDataParallel
    ):
        yield module
    else:
        for child in module.children():
            yield from _synchronising(child)


@cache
def _keeps_gradients(kind: Any) -> bool:
    """Tell whether modules of a class do; asked in each micro-batch."""
    return issubclass(kind, NoSync)
