"""One call of a module, which can be run again on the side."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.compat.torch import times_changed, tree_leaves, tree_map
from mmamp.distributed.sharding import is_sharded, local, sharded_modules

from .devices import rng_kept
from .islands import is_floating


class _Kept:
    """A tensor that went into a module, as it was then.

    It is the tensor itself, which costs nothing where a backward pass needs
    it too; a copy is there while the module may still write into it.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor.detach()  # holds no graph
        self._version = times_changed(tensor)
        self._copy: Tensor | None = self._tensor.clone()

    @property
    def is_intact(self) -> bool:
        return self.value is not None

    @property
    def value(self) -> Tensor | None:
        """The tensor; None if it has been overwritten."""
        if self._copy is None and times_changed(self._tensor) == self._version:
            return self._tensor
        return self._copy

    def settle(self) -> None:
        """Let go of the copy, unless the tensor has changed meanwhile."""
        if times_changed(self._tensor) == self._version:
            self._copy = None


class ModuleCall:
    """One call of a module: what went in, and the gradient that came back.

    Args:
        name (str): Of the module.
        module (nn.Module): The module.
        args (tuple): What it is called with.
        kwargs (dict): The same by keywords.

    Attributes:
        awaited (set): What a backward pass has yet to bring: the gradients of
            its inputs and of its own parameters, by any keys.
        grad_outputs (dict[int, Tensor]): Gradients of its outputs, as long as
            something is awaited.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.name, self.module = name, module
        self.args, self.kwargs = tree_map(_kept, (args, kwargs))
        tensors = [*floating((args, kwargs)), *module.parameters()]
        self.device = tensors[0].device.type if tensors else 'cpu'
        self.autocast: dict[str, Any] = dict(
            device_type=self.device,
            dtype=torch.get_autocast_dtype(self.device),
            enabled=torch.is_autocast_enabled(self.device),
        )
        self.sought: set[Any] = {
            key
            for key, param in module.named_parameters(recurse=False)
            if param.requires_grad
        }
        self.awaited: set[Any] = set()
        self.grad_outputs: dict[int, Tensor] = {}

    def settle(self) -> None:
        """Let go of copies, now that the module has run."""
        for kept in self._inputs():
            kept.settle()

    @property
    def is_intact(self) -> bool:
        """bool: Whether what went in has not been overwritten since."""
        return all(kept.is_intact for kept in self._inputs())

    def add_gradient(self, index: int, grad: Tensor) -> None:
        """Keep the gradient of an output, if anything depends on it.

        Args:
            index (int): Of the output.
            grad (Tensor): Its gradient.
        """
        if self.sought:
            self.awaited = set(self.sought)
            self.grad_outputs[index] = grad.detach()

    def is_settled(self, key: Any) -> None:
        """Let go of gradients once all that depends on them is finite.

        Args:
            key (Any): Of ``sought``: an input or a parameter whose gradient
                is finite.
        """
        self.awaited.discard(key)
        if not self.awaited:
            self.grad_outputs.clear()

    def _inputs(self) -> list[_Kept]:
        leaves = tree_leaves((self.args, self.kwargs))
        return [x for x in leaves if isinstance(x, _Kept)]

    def _given(self, cast: Callable[[Any], Any]) -> Any:
        """Return what it was called with, cast."""

        def value(leaf: Any) -> Any:
            return cast(leaf.value if isinstance(leaf, _Kept) else leaf)

        return tree_map(value, (self.args, self.kwargs))

    def forward_is_finite(self) -> bool:
        """Tell whether the module's output is, in float32."""
        args, kwargs = self._given(_float32)
        with (
            rng_kept(),
            torch.no_grad(),
            torch.autocast(self.device, enabled=False),
        ):
            outputs = _run(self.module, args, kwargs, _float32)
        return all(is_finite(tensor) for tensor in outputs)

    def backward_is_finite(self, in_float32: bool) -> bool:
        """Tell whether its own backward pass is, from a finite start."""
        cast = _float32 if in_float32 else _same
        args, kwargs = self._given(lambda value: _leaf(cast(value)))
        autocast = dict(self.autocast)
        if in_float32:
            autocast['enabled'] = False
        with rng_kept(), torch.enable_grad():
            with torch.autocast(**autocast):
                outputs = _run(self.module, args, kwargs, cast)
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
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    cast: Callable[[Any], Any],
) -> list[Tensor]:
    """Run a module again without a trace, its own weights cast too.

    What it writes into its buffers goes into copies: the pass that is under
    way may need them as they are.
    """
    state = {
        **{name: cast(param) for name, param in module.named_parameters()},
        **{name: cast(x.clone()) for name, x in module.named_buffers()},
    }
    return floating(torch.func.functional_call(module, state, args, kwargs))


def floating(nest: Any) -> list[Tensor]:
    """Return the floating tensors in a nest of containers."""
    return [value for value in tree_leaves(nest) if is_floating(value)]


def is_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor is, as far as this rank has it."""
    return bool(torch.isfinite(local(tensor.detach())).all())


def _kept(value: Any) -> Any:
    return _Kept(value) if isinstance(value, Tensor) else value


def _same(value: Any) -> Any:
    return value


def _float32(value: Any) -> Any:
    return value.float() if is_floating(value) else value


def _leaf(value: Any) -> Any:
    """Return a copy that gradients end at."""
    if is_floating(value):
        return value.detach().clone().requires_grad_()
    return value
