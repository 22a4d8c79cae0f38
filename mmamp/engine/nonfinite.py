"""Which module makes the first value that is not finite."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from mmamp.module_names import named_modules
from mmamp.sharding import is_sharded, local, sharded_modules

from .precision import is_floating


@dataclass(frozen=True)
class Finding:
    """Where the first non-finite value came from.

    Attributes:
        module (str): Name of the module, without those of model wrappers;
            empty for code outside of any.
        backward (bool): Whether it is a gradient.
        cause (str): ``'overflow'``: finite in float32; ``'nan'``: not finite
            in float32 either; ``'sharded'``: nobody can tell, since FSDP2
            has the module's parameters on other ranks; ``'parameter'``: a
            parameter or buffer is not finite; ``'data'``: the input of the
            first module is not; ``'between'``: made by code outside of
            modules.
        text (str): What happened, in words.
    """

    module: str
    backward: bool
    cause: str
    text: str

    @property
    def rule(self) -> str | None:
        """str or None: The rule that mends it, if a precision can."""
        if self.cause != 'overflow':
            return None
        pattern = re.escape(self.module)
        return (
            "custom_hooks=[dict(type='mmamp.PrecisionHook', "
            f"rules=[dict(pattern={pattern!r}, dtype='float32')])]"
        )


class _Call:
    """One call of a module: what went in, and the gradient that came back."""

    def __init__(
        self, name: str, module: nn.Module, args: tuple, kwargs: dict
    ) -> None:
        self.name, self.module = name, module
        # Copies, which hold no graph and which the module cannot change.
        self.args, self.kwargs = tree_map(_copied, (args, kwargs))
        tensors = [*_floating((args, kwargs)), *module.parameters()]
        self.device = tensors[0].device.type if tensors else 'cpu'
        self.autocast: dict[str, Any] = dict(
            device_type=self.device,
            dtype=torch.get_autocast_dtype(self.device),
            enabled=torch.is_autocast_enabled(self.device),
        )
        self.grad_outputs: dict[int, Tensor] = {}


class NonFiniteTracer:
    """Watches every module of a model for the first non-finite value.

    Uses forward hooks and tensor hooks, which in-place operations do not
    disturb. While it is attached each module waits for the device.

    Args:
        model (nn.Module): Frozen networks in it are watched too.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {
            module: names[0] for names, module in named_modules(model)
        }
        self._handles: list[Any] = []
        self._is_busy = False
        self.reset()

    def reset(self) -> None:
        """Forget what was found, and look for the next."""
        self.finding: Finding | None = None
        self._last = ''
        self._stack: list[_Call] = []
        # Of each tensor: the call that made it, and those that took it.
        self._makers: dict[Any, _Call] = {}
        self._takers: dict[Any, list[_Call]] = {}

    def attach(self) -> None:
        """Begin to watch."""
        for module, name in self._names.items():
            self._handles += [
                module.register_forward_pre_hook(
                    self._before, with_kwargs=True
                ),
                module.register_forward_hook(self._after),
            ]
            for key, param in module.named_parameters(recurse=False):
                if param.requires_grad:
                    self._handles.append(
                        param.register_hook(
                            self._parameter_hook(name, module, key)
                        )
                    )

    def detach(self) -> None:
        """Leave the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.reset()

    def begin_step(self) -> None:
        """Let go of the last iteration's tensors."""
        if self.finding is None:
            self.reset()

    # ---- forward -----------------------------------------------------------

    def _before(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        if self._is_busy or self.finding is not None:
            return
        call = _Call(self._names[module], module, args, kwargs)
        self._stack.append(call)
        for tensor in _floating((args, kwargs)):
            if not _is_finite(tensor):
                self._found_input(call)
                return
            self._watch_gradient(tensor, taker=call)

    def _after(self, module: nn.Module, args: tuple, output: Any) -> None:
        if self._is_busy or self.finding is not None:
            return
        call = self._stack.pop()
        outputs = _floating(output)
        if all(_is_finite(tensor) for tensor in outputs):
            self._last = call.name
            for i, tensor in enumerate(outputs):
                self._watch_gradient(tensor, maker=call, index=i)
            return
        self._found(call, backward=False)

    def _found_input(self, call: _Call) -> None:
        where = _describe(call.name, call.module)
        if self._last:
            text = (
                f'the input of {where} is not finite, though the output of '
                f'{self._last!r}, the last module before it, is: it was made '
                'by code between modules'
            )
            self.finding = Finding(call.name, False, 'between', text)
        else:
            text = (
                f'the input of {where}, the first module of this pass, is '
                'not finite: look at the data'
            )
            self.finding = Finding(call.name, False, 'data', text)

    # ---- backward ----------------------------------------------------------

    def _watch_gradient(
        self,
        tensor: Tensor,
        maker: _Call | None = None,
        taker: _Call | None = None,
        index: int = 0,
    ) -> None:
        """Look at the gradient of a tensor when it comes."""
        if not tensor.requires_grad or tensor.is_leaf:
            return
        # Not the tensor: an in-place operation makes another of the same.
        key = (tensor.grad_fn, tensor.output_nr)
        if key not in self._takers:
            self._takers[key] = []
            tensor.register_hook(lambda grad: self._gradient(key, grad))
        if taker is not None:
            self._takers[key].append(taker)
        if maker is not None:
            # Of a nest of modules with one output the innermost made it.
            self._makers.setdefault(key, maker)
            hook = self._output_hook(maker, index)
            tensor.register_hook(hook)

    def _is_looking(self, grad: Tensor | None) -> bool:
        # A second derivative may have no gradient for a tensor.
        return not self._is_busy and self.finding is None and grad is not None

    def _output_hook(
        self, call: _Call, index: int
    ) -> Callable[[Tensor], None]:
        def hook(grad: Tensor) -> None:
            if self._is_looking(grad):
                call.grad_outputs[index] = grad.detach()

        return hook

    def _gradient(self, key: Any, grad: Tensor) -> None:
        if not self._is_looking(grad) or _is_finite(grad):
            return
        takers = [call for call in self._takers[key] if call.grad_outputs]
        # The innermost comes last; of several, one whose own pass shows it.
        takers.reverse()
        for call in takers:
            if _can_run(call.module) and not self._backward_is_finite(
                call, in_float32=False
            ):
                self._found(call, backward=True)
                return
        maker = self._makers.get(key)
        after = maker.name if maker is not None else ''
        before = takers[0].name if takers else ''
        where = (
            f'between {after!r} and {before!r}'
            if after and before
            else f'after {after!r} (the loss, maybe)'
            if after
            else f'before {before!r}'
            if before
            else 'outside of modules'
        )
        text = (
            f'the first gradient that is not finite is made by code {where}; '
            'gradients inside of the modules behind it are finite'
        )
        self.finding = Finding(after or before, True, 'between', text)

    def _parameter_hook(
        self, name: str, module: nn.Module, key: str
    ) -> Callable[[Tensor], None]:
        def hook(grad: Tensor) -> None:
            if not self._is_looking(grad) or _is_finite(grad):
                return
            calls = [
                call
                for call in self._makers.values()
                if call.module is module and call.grad_outputs
            ]
            if calls:
                self._found(calls[-1], backward=True, param=key)
                return
            text = (
                f'the gradient of {key!r} of {_describe(name, module)} is '
                'not finite'
            )
            self.finding = Finding(name, True, 'between', text)

        return hook

    # ---- diagnosis ---------------------------------------------------------

    def _found(self, call: _Call, backward: bool, param: str = '') -> None:
        where = _describe(call.name, call.module)
        what = (
            f'the gradient of its {param!r}'
            if param
            else 'the gradient of its input'
            if backward
            else 'its output'
        )
        given = (
            'the gradient of its output is finite'
            if backward
            else 'its input is finite'
        )
        if bad := _non_finite_state(call.module):
            text = f'{where}: {bad} is not finite, and so {what} is not'
            self.finding = Finding(call.name, backward, 'parameter', text)
            return
        if not _can_run(call.module):
            text = (
                f'{where}: {given}, {what} is not; whether it would be in '
                'float32 cannot be tried, since its parameters are on other '
                'ranks'
            )
            self.finding = Finding(call.name, backward, 'sharded', text)
            return
        is_finite = (
            self._backward_is_finite(call, in_float32=True)
            if backward
            else self._forward_is_finite(call)
        )
        if is_finite:
            text = (
                f'{where} overflows: {given}, {what} is not, but would be in '
                'float32'
            )
            self.finding = Finding(call.name, backward, 'overflow', text)
        else:
            text = (
                f'{where}: {given}, {what} is not, nor would be in float32: '
                'no precision mends it; look for a division by zero, a log '
                'or a root of what may be 0, an exp of what may be large'
            )
            self.finding = Finding(call.name, backward, 'nan', text)

    @contextmanager
    def _aside(self, module: nn.Module) -> Iterator[None]:
        """Run a module again without a trace in buffers or random numbers."""
        self._is_busy = True
        buffers = [(b, b.clone()) for b in module.buffers()]
        try:
            with torch.random.fork_rng():
                yield
        finally:
            with torch.no_grad():
                for buffer, kept in buffers:
                    buffer.copy_(kept)
            self._is_busy = False

    def _forward_is_finite(self, call: _Call) -> bool:
        """Whether the module's output is, in float32."""
        args, kwargs = tree_map(_float32, (call.args, call.kwargs))
        with (
            self._aside(call.module),
            torch.no_grad(),
            torch.autocast(call.device, enabled=False),
        ):
            outputs = _run_in_float32(call.module, args, kwargs)
        return all(_is_finite(tensor) for tensor in outputs)

    def _backward_is_finite(self, call: _Call, in_float32: bool) -> bool:
        """Whether the module's own backward pass is, from a finite start."""
        cast = _float32 if in_float32 else _same
        args, kwargs = tree_map(
            lambda value: _leaf(cast(value)), (call.args, call.kwargs)
        )
        autocast = dict(call.autocast)
        if in_float32:
            autocast['enabled'] = False
        with self._aside(call.module), torch.enable_grad():
            run = _run_in_float32 if in_float32 else _run
            with torch.autocast(**autocast):
                outputs = run(call.module, args, kwargs)
            started = [
                (out, call.grad_outputs[i].to(out.dtype))
                for i, out in enumerate(outputs)
                if i in call.grad_outputs and out.requires_grad
            ]
            reached = [
                tensor
                for tensor in (
                    *_floating((args, kwargs)),
                    *call.module.parameters(),
                )
                if tensor.requires_grad
            ]
            if not started or not reached:
                return True
            with torch.autocast(call.device, enabled=False):
                grads = torch.autograd.grad(
                    [out for out, _ in started],
                    reached,
                    [grad for _, grad in started],
                    allow_unused=True,
                )
        return all(grad is None or _is_finite(grad) for grad in grads)


def _can_run(module: nn.Module) -> bool:
    """Whether this rank can run a module again without the others."""
    return not sharded_modules(module) and not any(
        is_sharded(param) for param in module.parameters()
    )


def _run(module: nn.Module, args: tuple, kwargs: dict) -> list[Tensor]:
    return _floating(module(*args, **kwargs))


def _run_in_float32(
    module: nn.Module, args: tuple, kwargs: dict
) -> list[Tensor]:
    """Also where the module's own weights are of a lower precision."""
    low = {
        name: tensor.float()
        for name, tensor in (
            *module.named_parameters(),
            *module.named_buffers(),
        )
        if tensor.dtype in (torch.float16, torch.bfloat16)
    }
    if not low:
        return _run(module, args, kwargs)
    return _floating(torch.func.functional_call(module, low, args, kwargs))


def _describe(name: str, module: nn.Module) -> str:
    return f'{name or "the model"!r} ({type(module).__name__})'


def _non_finite_state(module: nn.Module) -> str | None:
    """The first parameter or buffer that is not finite."""
    for kind, tensors in (
        ('parameter', module.named_parameters()),
        ('buffer', module.named_buffers()),
    ):
        for name, tensor in tensors:
            if tensor.is_floating_point() and not _is_finite(tensor):
                return f'its {kind} {name!r}'
    return None


def _floating(nest: Any) -> list[Tensor]:
    return [value for value in tree_leaves(nest) if is_floating(value)]


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(local(tensor.detach())).all())


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _same(value: Any) -> Any:
    return value


def _float32(value: Any) -> Any:
    return value.float() if is_floating(value) else value


def _leaf(value: Any) -> Any:
    """A copy that gradients end at."""
    if is_floating(value):
        return value.detach().clone().requires_grad_()
    return value
