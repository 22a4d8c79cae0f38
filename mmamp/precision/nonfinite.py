"""Which module makes the first value that is not finite."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.utils.modules import named_modules

from .module_call import ModuleCall, can_run, floating, is_finite


@dataclass(frozen=True)
class Finding:
    """Where the first non-finite value came from.

    Attributes:
        module (str): Name of the module, without those of model wrappers;
            empty for code outside of any.
        backward (bool): Whether it is a gradient.
        cause (str): ``'overflow'``: finite in float32; ``'nan'``: not finite
            in float32 either; ``'sharded'``: nobody can tell, since FSDP2
            has the module's parameters on other ranks; ``'overwritten'``: nor
            can anybody, since its input was changed in place after it had
            run; ``'parameter'``: a
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


class NonFiniteTracer:
    """Watches every module of a model for the first non-finite value.

    Uses forward hooks and tensor hooks, which in-place operations do not
    disturb. While it is attached each module waits for the device; of memory
    it takes little: activations that a backward pass would not have kept, and
    gradients until those of the inputs behind them are there.

    Args:
        model (nn.Module): Frozen networks in it are watched too; a
            ``ScriptModule`` is part of the module that holds it.
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
        self._stack: list[ModuleCall] = []
        # Of each tensor: the call that made it, and those that took it.
        self._makers: dict[Any, ModuleCall] = {}
        self._takers: dict[Any, list[ModuleCall]] = {}

    def attach(self) -> None:
        """Begin to watch."""
        for module, name in self._names.items():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # which has no hooks
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

    def _before(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self._is_busy or self.finding is not None:
            return
        call = ModuleCall(self._names[module], module, args, kwargs)
        self._stack.append(call)
        for tensor in floating((args, kwargs)):
            if not is_finite(tensor):
                self._found_input(call)
                return
            self._watch_gradient(tensor, taker=call)

    def _after(
        self, module: nn.Module, args: tuple[Any, ...], output: Any
    ) -> None:
        if self._is_busy or self.finding is not None:
            return
        call = self._stack.pop()
        call.settle()
        outputs = floating(output)
        if all(is_finite(tensor) for tensor in outputs):
            self._last = call.name
            for i, tensor in enumerate(outputs):
                self._watch_gradient(tensor, maker=call, index=i)
            return
        self._found(call, backward=False)

    def _found_input(self, call: ModuleCall) -> None:
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
        maker: ModuleCall | None = None,
        taker: ModuleCall | None = None,
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
            taker.sought.add(key)
        if maker is not None:
            # Of a nest of modules with one output the innermost made it.
            self._makers.setdefault(key, maker)
            hook = self._output_hook(maker, index)
            tensor.register_hook(hook)

    def _is_looking(self, grad: Tensor | None) -> bool:
        # A second derivative may have no gradient for a tensor.
        return not self._is_busy and self.finding is None and grad is not None

    def _output_hook(
        self, call: ModuleCall, index: int
    ) -> Callable[[Tensor], None]:
        def hook(grad: Tensor) -> None:
            if self._is_looking(grad):
                call.add_gradient(index, grad)

        return hook

    def _gradient(self, key: Any, grad: Tensor) -> None:
        if not self._is_looking(grad):
            return
        if is_finite(grad):
            for call in self._takers[key]:
                call.is_settled(key)
            return
        takers = [call for call in self._takers[key] if call.grad_outputs]
        # The innermost comes last; of several, one whose own pass shows it.
        takers.reverse()
        for call in takers:
            if _can_run(call) and not self._run_again(
                call.backward_is_finite, False
            ):
                self._found(call, backward=True)
                return
        if untried := [call for call in takers if not _can_run(call)]:
            self._found(untried[0], backward=True)
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
            if not self._is_looking(grad):
                return
            calls = [
                call
                for call in self._makers.values()
                if call.module is module and call.grad_outputs
            ]
            if is_finite(grad):
                for call in calls:
                    call.is_settled(key)
            elif calls:
                self._found(calls[-1], backward=True, param=key)
            else:
                text = (
                    f'the gradient of {key!r} of {_describe(name, module)} '
                    'is not finite'
                )
                self.finding = Finding(name, True, 'between', text)

        return hook

    # ---- diagnosis ---------------------------------------------------------

    def _run_again(self, check: Callable[..., bool], *args: bool) -> bool:
        """Run a module on the side, not looking at what it does."""
        self._is_busy = True
        try:
            return check(*args)
        finally:
            self._is_busy = False

    def _found(
        self, call: ModuleCall, backward: bool, param: str = ''
    ) -> None:
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
        if not _can_run(call):
            cause, why = (
                ('overwritten', 'its input has been changed in place since')
                if can_run(call.module)
                else ('sharded', 'its parameters are on other ranks')
            )
            text = (
                f'{where}: {given}, {what} is not; whether it would be in '
                f'float32 cannot be tried, since {why}'
            )
            self.finding = Finding(call.name, backward, cause, text)
            return
        is_finite = (
            self._run_again(call.backward_is_finite, True)
            if backward
            else self._run_again(call.forward_is_finite)
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


def _can_run(call: ModuleCall) -> bool:
    return can_run(call.module) and call.is_intact


def _describe(name: str, module: nn.Module) -> str:
    return f'{name or "the model"!r} ({type(module).__name__})'


def _non_finite_state(module: nn.Module) -> str | None:
    """Return the first parameter or buffer that is not finite."""
    for kind, tensors in (
        ('parameter', module.named_parameters()),
        ('buffer', module.named_buffers()),
    ):
        for name, tensor in tensors:
            if tensor.is_floating_point() and not is_finite(tensor):
                return f'its {kind} {name!r}'
    return None
