"""One call of a module, which can be run again on the side."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.compat.torch import tree_leaves, tree_map
from mmamp.distributed.sharding import is_sharded, local, sharded_modules

from .devices import rng_kept
from .dtypes import is_low
from .islands import is_floating


class ModuleCall:
    """One call of a module: what went in, and the gradient that came back.

    Args:
        name (str): Of the module.
        module (nn.Module): The module.
        args (tuple): What it is called with.
        kwargs (dict): The same by keywords.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.name, self.module = name, module
        # Copies, which hold no graph and which the module cannot change.
        self.args, self.kwargs = tree_map(_copied, (args, kwargs))
        tensors = [*floating((args, kwargs)), *module.parameters()]
        self.device = tensors[0].device.type if tensors else 'cpu'
        self.autocast: dict[str, Any] = dict(
            device_type=self.device,
            dtype=torch.get_autocast_dtype(self.device),
            enabled=torch.is_autocast_enabled(self.device),
        )
        self.grad_outputs: dict[int, Tensor] = {}

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Run a module again without a trace in buffers or random numbers."""
        buffers = [(b, b.clone()) for b in self.module.buffers()]
        try:
            with rng_kept():
                yield
        finally:
            with torch.no_grad():
                for buffer, kept in buffers:
                    buffer.copy_(kept)

    def forward_is_finite(self) -> bool:
        """Tell whether the module's output is, in float32."""
        args, kwargs = tree_map(_float32, (self.args, self.kwargs))
        with (
            self._aside(),
            torch.no_grad(),
            torch.autocast(self.device, enabled=False),
        ):
            outputs = _run_in_float32(self.module, args, kwargs)
        return all(is_finite(tensor) for tensor in outputs)

    def backward_is_finite(self, in_float32: bool) -> bool:
        """Tell whether its own backward pass is, from a finite start."""
        cast = _float32 if in_float32 else _same
        args, kwargs = tree_map(
            lambda value: _leaf(cast(value)), (self.args, self.kwargs)
        )
        autocast = dict(self.autocast)
        if in_float32:
            autocast['enabled'] = False
        with self._aside(), torch.enable_grad():
            run = _run_in_float32 if in_float32 else _run
            with torch.autocast(**autocast):
                outputs = run(self.module, args, kwargs)
            started = [
                (out, self.grad_outputs[i].to(out.dtype))
                for i, out in enumerate(outputs)
                if i in self.grad_outputs and out.requires_grad
            ]
            reached = [
                tensor
                for tensor in (
                    *floating((args, kwargs)),
                    *self.module.parameters(),
                )
                if tensor.requires_grad
            ]
            if not started or not reached:
                return True
            with torch.autocast(self.device, enabled=False):
                grads = torch.autograd.grad(
                    [out for out, _ in started],
                    reached,
                    [grad for _, grad in started],
                    allow_unused=True,
                )
        return all(grad is None or is_finite(grad) for grad in grads)


def can_run(module: nn.Module) -> bool:
    """Tell whether this rank can run a module again without the others."""
    return not sharded_modules(module) and not any(
        is_sharded(param) for param in module.parameters()
    )


def _run(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Tensor]:
    return floating(module(*args, **kwargs))


def _run_in_float32(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Tensor]:
    """Also where the module's own weights are of a lower precision."""
    low = {
        name: tensor.float()
        for name, tensor in (
            *module.named_parameters(),
            *module.named_buffers(),
        )
        if is_low(tensor.dtype)
    }
    if not low:
        return _run(module, args, kwargs)
    return floating(torch.func.functional_call(module, low, args, kwargs))


def floating(nest: Any) -> list[Tensor]:
    """Return the floating tensors in a nest of containers."""
    return [value for value in tree_leaves(nest) if is_floating(value)]


def is_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor is, as far as this rank has it."""
    return bool(torch.isfinite(local(tensor.detach())).all())


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _same(value: Any) -> Any:
    return value


def _float32(value: Any) -> Any:
    return value.float() if is_floating(value) else value


def _leaf(value: Any) -> Any:
    """Return a copy that gradients end at."""
    if is_floating(value):
        return value.detach().clone().requires_grad_()
    return value
