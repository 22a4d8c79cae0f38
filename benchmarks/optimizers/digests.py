"""What an optimizer holds, in a form that two processes can compare."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn
from torch.optim import Optimizer


def optimizers_of(wrapper: Any) -> dict[str, Optimizer]:
    """Return all optimizers of a wrapper, those inside of others too.

    Args:
        wrapper (OptimWrapper or OptimWrapperDict): The wrapper.
    """
    if isinstance(wrapper, OptimWrapperDict):
        found = {name: x.optimizer for name, x in wrapper.items()}
    else:
        found = {'': wrapper.optimizer}
    waiting = list(found.items())
    for name, optimizer in waiting:
        found[name] = optimizer
        waiting += [
            (f'{name}.{key}', value)
            for key, value in vars(optimizer).items()
            if isinstance(value, Optimizer)
            and all(value is not x for x in found.values())
        ]
    return found


def entries_of(wrapper: Any, model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the state and the settings of optimizers, each with its name.

    Args:
        wrapper (OptimWrapper or OptimWrapperDict): Of the optimizers.
        model (nn.Module): Whose parameters they train.
    """
    names: dict[Any, str] = {p: n for n, p in model.named_parameters()}
    for prefix, optimizer in optimizers_of(wrapper).items():
        for key, value in optimizer.state.items():
            yield from _leaves(f'{prefix}{names.get(key, key)}', value)
        for i, group in enumerate(optimizer.param_groups):
            rest = {k: v for k, v in group.items() if k != 'params'}
            yield from _leaves(f'{prefix}group{i}', rest)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield tensors and plain values, however deep they are."""
    if hasattr(value, '__tensor_flatten__'):
        inner, context = value.__tensor_flatten__()
        value = {**{x: getattr(value, x) for x in inner}, 'context': context}
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(f'{name}.{key}', item)
    elif isinstance(value, Tensor | str | int | float | None):
        yield name, value
    elif isinstance(value, Iterable):
        for i, item in enumerate(value):
            yield from _leaves(f'{name}.{i}', item)
    elif callable(value) or not hasattr(value, '__dict__'):
        yield name, getattr(value, '__name__', type(value).__name__)
    else:
        yield from _leaves(name, vars(value))


def digest(value: Any) -> str:
    """Return a text that is the same for the same bits alone.

    Args:
        value (Tensor or object): A tensor, or a plain value.
    """
    if not isinstance(value, Tensor):
        return repr(value)
    tensor = value.detach().cpu().contiguous()
    data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
    told = f'{tensor.dtype}{tuple(tensor.shape)}'
    return f'{told} {hashlib.sha256(data).hexdigest()[:16]}'


def digests(wrapper: Any, model: nn.Module) -> dict[str, str]:
    """Return the digests of a model, its buffers and its optimizers.

    Args:
        wrapper (OptimWrapper or OptimWrapperDict): Of the optimizers.
        model (nn.Module): The model.
    """
    held = dict(model.state_dict())
    held.update(entries_of(wrapper, model))
    return {name: digest(value) for name, value in held.items()}


def sizes(wrapper: Any, model: nn.Module) -> dict[str, float]:
    """Return the norm of each kind of state, over all parameters.

    Args:
        wrapper (OptimWrapper or OptimWrapperDict): Of the optimizers.
        model (nn.Module): The model.
    """
    names = [name for name, _ in model.named_parameters()]
    found: dict[str, float] = {}
    for name, value in entries_of(wrapper, model):
        owner = next((x for x in names if f'{x}.' in name), None)
        if (
            owner is not None
            and isinstance(value, Tensor)
            and value.is_floating_point()
        ):
            # Of a list, all items together.
            kind = re.sub(r'\.\d+', '', name.replace(owner, '', 1))[1:]
            square = value.detach().double().square().sum().item()
            found[kind] = found.get(kind, 0.0) + square
    return {kind: square**0.5 for kind, square in found.items()}


def num_bytes(wrapper: Any, model: nn.Module) -> int:
    """Count the bytes of the tensors in optimizers' states.

    Args:
        wrapper (OptimWrapper or OptimWrapperDict): Of the optimizers.
        model (nn.Module): The model.
    """
    own = {x.data_ptr() for x in model.parameters()}
    seen = {
        x.untyped_storage().data_ptr(): x.untyped_storage().nbytes()
        for _, x in entries_of(wrapper, model)
        if isinstance(x, Tensor) and x.data_ptr() not in own
    }
    return sum(seen.values())
