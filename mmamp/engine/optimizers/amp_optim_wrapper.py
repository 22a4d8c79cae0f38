"""The optimizer wrapper for mixed precision."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from mmamp.checkpoint.keys import (
    AMP_COUNTERS,
    LOSS_SCALER,
    PENALTY_SCALERS,
    WINDOW,
)
from mmamp.compat.mmengine import let_schedulers_step
from mmamp.compat.torch import skips_by_itself, tree_map
from mmamp.distributed.no_sync import no_sync
from mmamp.distributed.sharding import is_sharded
from mmamp.logging.scalars import GRAD_NORM, LOSS_SCALE, SKIPPED_STEPS
from mmamp.precision.autocast import autocast, autocast_off
from mmamp.precision.dtypes import (
    at_least_float32,
    casts,
    is_narrow,
    resolve_dtype,
)
from mmamp.precision.names import name_of
from mmamp.precision.rounded_operands import needs_rounding, warn_slow_cpu
from mmamp.precision.spectral_norm import protect_spectral_norm
from mmamp.registry import OPTIM_WRAPPERS

from .fused import fuse, lacks_momentum, lay_out_state, with_settings_of
from .gradients import clip_sharded_norm_, total_norm
from .higher_order import PenaltyScaler, scaled_grad
from .loss_scaler import LossScaler, build_loss_scaler
from .windowed_optim_wrapper import WindowedOptimWrapper


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(WindowedOptimWrapper):
    """Mixed-precision training on any device that torch knows.

    Takes the place of ``mmengine.optim.AmpOptimWrapper`` under the same
    argument names, attributes and checkpoint keys, and differs in what it
    guarantees: autocast covers the forward pass and the loss, never backward
    or step; a window of micro-batches whose gradients are not all finite is
    skipped in every dtype, and leaves parameters and persistent buffers as
    they were; a window that ``max_iters`` cuts short is weighted by its real
    length; nothing needs a GPU.

    Args:
        optimizer (Optimizer): The optimizer. Its parameters' device, when the
            wrapper is built, is the device that is trained on.
        loss_scale (str or float or int or dict): ``'dynamic'``, a number for
            a static scale, or arguments of
            :class:`~mmamp.engine.optimizers.loss_scaler.LossScaler`. Has no
            effect in bfloat16 and float32. Defaults to ``'dynamic'``.
        dtype (str or torch.dtype, optional): ``'float16'``, ``'bfloat16'``,
            ``'float32'`` (nothing is cast) or ``'auto'`` (bfloat16 where the
            hardware has it, else float16). Defaults to None: PyTorch's
            default for the device (CUDA float16, CPU bfloat16).
        use_fsdp (bool): Whether the model is wrapped in FSDP1, so that the
            overflow check has to span the ranks. Defaults to False.
        accumulative_counts (int): Micro-batches in a window. Defaults to 1.
        clip_grad (dict, optional): Arguments of
            ``torch.nn.utils.clip_grad_norm_``, or with ``type='value'`` of
            ``clip_grad_value_``; applied to unscaled gradients. Defaults to
            None.
        loss_scaler (str, optional): ``'shared'``, or another name of a group:
            wrappers of one group, built by mmamp's constructor, share one
            scaler, which is updated once they have all stepped. Defaults to
            None: a scaler of its own.

    Attributes:
        loss_scaler (LossScaler): Disabled where the dtype needs no scale.
        cast_dtype (torch.dtype): What ``dtype`` came to on this device.
        is_sharded (bool): Whether FSDP2 shards its parameters.
        name (str): The optimizer's name in the config, for messages; empty
            where there is only one.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a value is not valid, or the device does not have the
            dtype; the message lists what it has.

    Examples:
        >>> optim_wrapper = dict(
        ...     type='mmamp.AmpOptimWrapper',
        ...     dtype='float16',
        ...     loss_scale=dict(init_scale=512., hysteresis=2),
        ...     optimizer=dict(type='Adam', lr=1e-4),
        ...     clip_grad=dict(max_norm=10.),
        ...     accumulative_counts=8)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        loss_scale: str | float | dict[str, Any] = 'dynamic',
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
        loss_scaler: str | None = None,
    ) -> None:
        if loss_scaler is not None and not (
            isinstance(loss_scaler, str) and loss_scaler
        ):
            raise TypeError(
                "loss_scaler must be None, 'shared' or another name of a "
                f'group of optimizers, but got {loss_scaler!r}'
            )
        super().__init__(optimizer, accumulative_counts, clip_grad)
        self.scaler_group = loss_scaler
        self.is_sharded = any(is_sharded(p) for p in self._params())
        self.device_type = self._params()[0].device.type
        self.cast_dtype = resolve_dtype(dtype, self.device_type)
        self.loss_scaler: LossScaler = build_loss_scaler(
            loss_scale,
            self.device_type,
            enabled=is_narrow(self.cast_dtype),
            sharded=use_fsdp,
        )
        self._was_fused = fuse(optimizer)
        if self._was_fused:
            self._say_once(
                f'{type(optimizer).__name__} steps in fused kernels; '
                'optimizer=dict(fused=False) in the config switches them off',
                'fused',
            )
        self._use_fsdp = use_fsdp
        self._penalty_scalers: list[PenaltyScaler] = []
        self._grad_calls = 0
        self._context_entered = False
        self._inside = 0
        if not is_narrow(self.cast_dtype) and loss_scale != 'dynamic':
            self._say_once(
                f'loss_scale={loss_scale!r} has no effect in '
                f'{self._dtype_name()}, which needs no loss scale',
                'scale',
            )
        if needs_rounding(self.device_type, self.cast_dtype):
            warn_slow_cpu(self.cast_dtype)

    # ---- forward, backward, step -------------------------------------------

    def _meet(self, model: nn.Module) -> bool:
        """Prepare for a model: its buffers, its spectral norms."""
        is_new = super()._meet(model)
        if not is_new or not casts(self.cast_dtype):
            return is_new
        if names := protect_spectral_norm(model):
            print_log(
                f'torch.nn.utils spectral norm of {len(names)} layer(s), such '
                f'as {names[0]!r}, estimates the norm in float32',
                logger='current',
            )
        return True

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run a forward pass, and its loss, in mixed precision.

        Args:
            model (nn.Module): The network that is trained. Under DDP its
                gradients are synchronised once a window.
        """
        self._context_entered = True
        self._meet(model)
        self._enter_window()
        self._inside += 1
        try:
            with (
                nullcontext() if self.should_sync() else no_sync(model),
                autocast(self.device_type, self.cast_dtype),
            ):
                yield
        finally:
            self._inside -= 1

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Backward of the scaled loss, with autocast off.

        Args:
            loss (Tensor): Scalar loss.
            **kwargs: Arguments of ``torch.Tensor.backward``.
        """
        self._check_surroundings()
        let_schedulers_step(self)
        self.loss_scaler.begin_window(self.optimizer)
        self._has_own_grads = True
        with autocast_off(self.device_type):
            self.loss_scaler.scale(at_least_float32(loss)).backward(**kwargs)
        self._inner_count += 1
        self._grad_calls = 0

    def zero_grad(self, **kwargs: Any) -> None:
        """Drop the gradients.

        Args:
            **kwargs: Arguments of ``optimizer.zero_grad``.
        """
        # Zeros that are kept are nobody else's gradients.
        self._has_own_grads = not kwargs.get('set_to_none', True)
        super().zero_grad(**kwargs)

    def _check_surroundings(self) -> None:
        """Warn, once, of what a user's own loop gets wrong."""
        if not self._context_entered and casts(self.cast_dtype):
            self._say_once(
                'backward() was called, but no forward pass has run inside '
                '`with optim_wrapper.optim_context(model):`, so that '
                'this training is in float32',
                'context',
                logging.WARNING,
            )
        if not self._inside and torch.is_autocast_enabled(self.device_type):
            self._say_once(
                'backward() was called inside of a torch.autocast of your '
                'own, which is switched off for it. Let the forward pass run '
                'in `with optim_wrapper.optim_context(model):` and nothing '
                'else in autocast',
                'own autocast',
                logging.WARNING,
            )
        if not self._has_own_grads and any(
            p.grad is not None for p in self._params()
        ):
            self._say_once(
                'its parameters hold gradients that it did not make, maybe at '
                'the loss scale of another optimizer; they are added to its '
                'own. Freeze this network while another is trained '
                '(`network.requires_grad_(False)`), or call zero_grad() '
                'before backward()',
                'foreign gradients',
                logging.WARNING,
            )

    def grad(
        self,
        outputs: Tensor | Sequence[Tensor],
        inputs: Tensor | Sequence[Tensor],
        grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor | None, ...]:
        """``torch.autograd.grad`` with true gradients in every dtype.

        For penalties on gradients. In float16 the backward pass to the inputs
        and, when the result is differentiated again, the pass through it run
        at scales of their own, whatever the loss scale is.

        Args:
            outputs (Tensor or Sequence[Tensor]): Of the differentiated
                function, of any shapes.
            inputs (Tensor or Sequence[Tensor]): With respect to which, of any
                shapes.
            grad_outputs (Tensor or Sequence[Tensor], optional): The vector in
                the vector-Jacobian product, of the outputs' shapes. Defaults
                to None: ones, for scalar outputs.
            retain_graph (bool, optional): Whether the graph is kept. Defaults
                to None: ``create_graph``.
            create_graph (bool): Whether the result can be differentiated.
                Defaults to False.
            **kwargs: Other arguments of ``torch.autograd.grad``.

        Returns:
            tuple[Tensor or None]: Of the inputs' shapes, unscaled, and at
            least float32.

        Raises:
            RuntimeError: If the network is sharded by FSDP2, and the result
                is to be differentiated, but it is not kept gathered.

        Examples:
            >>> with optim_wrapper.optim_context(self):
            ...     real.requires_grad_()
            ...     grad, = optim_wrapper.grad(
            ...         self.discriminator(real).sum(), real,
            ...         create_graph=True)
            ...     penalty = grad.square().sum([1, 2, 3]).mean()
        """
        outputs = _as_tuple(outputs)
        inputs = _as_tuple(inputs)
        kwargs.update(retain_graph=retain_graph, create_graph=create_graph)
        if grad_outputs is not None:
            kwargs['grad_outputs'] = _as_tuple(grad_outputs)
        if (
            create_graph
            and self.is_sharded
            and self._guard.holds(self._params())
        ):
            raise RuntimeError(
                f'{self.name or "optim_wrapper"}: a gradient that is '
                'differentiated again needs a network that FSDP2 keeps '
                'gathered: name it in the property `higher_order_networks` '
                'of a BaseGAN, or run the update `with mmamp.sharding.whole('
                'network, optim_wrapper.optimizer):`'
            )
        with autocast_off(self.device_type):
            if is_narrow(self.cast_dtype):
                return scaled_grad(
                    self._penalty_scales(outputs[0].device),
                    outputs,
                    inputs,
                    **kwargs,
                )
            grads = torch.autograd.grad(outputs, inputs, **kwargs)
            return tuple(
                None if g is None else at_least_float32(g) for g in grads
            )

    def _penalty_scales(self, device: torch.device) -> PenaltyScaler:
        """Those of this call, the n-th for this micro-batch.

        Penalties of other networks, or at other points, can differ in size by
        more than one pair of scales has room for.
        """
        call, self._grad_calls = self._grad_calls, self._grad_calls + 1
        while len(self._penalty_scalers) <= call:
            self._penalty_scalers.append(PenaltyScaler(device))
        return self._penalty_scalers[call]

    def step(self, **kwargs: Any) -> None:
        """Unscale and clip the gradients, step if all are finite.

        Args:
            **kwargs: Arguments of ``optimizer.step``.
        """
        params = [p for p in self._params() if p.grad is not None]
        if not params:
            self._say_once(
                'no parameter got a gradient: the step is left out',
                'no gradient',
                logging.WARNING,
            )
            self.loss_scaler.end_window(self.optimizer)
            return
        with autocast_off(self.device_type):
            if not self.loss_scaler.is_unscaled(self.optimizer):
                self.loss_scaler.unscale_(self.optimizer)
            norm = self._clip(params)
            finite = self._all_finite(norm)
            at_minimum = self.loss_scaler.at_minimum()
            if self._can_step_on_device():
                self._step_on_device(finite, kwargs)
                self.record.add(norm, finite, at_minimum)
            else:
                stepped = self._step_from_host(finite, kwargs)
                self.record.add(norm, stepped, at_minimum)
            self.loss_scaler.end_window(self.optimizer)

    def _can_step_on_device(self) -> bool:
        # The fused kernels have no `found_inf` for sharded parameters; and
        # where there is no device to wait for, looking first is cheaper.
        return (
            skips_by_itself(self.optimizer)
            and not self.is_sharded
            and not (self._was_fused and self.device_type == 'cpu')
            and not lacks_momentum(self.optimizer)
        )

    def _step_from_host(self, finite: Tensor, kwargs: dict[str, Any]) -> bool:
        """Decide here: the one synchronisation that the decision needs."""
        is_finite = bool(finite)
        if is_finite:
            self.optimizer.step(**kwargs)
        else:
            self._guard.restore()
        return is_finite

    def _step_on_device(self, finite: Tensor, kwargs: dict[str, Any]) -> None:
        """Let a fused optimizer decide inside its kernel: nothing waits."""
        optimizer: Any = self.optimizer
        optimizer.grad_scale = None
        optimizer.found_inf = (~finite).float()
        optimizer.step(**kwargs)
        del optimizer.grad_scale, optimizer.found_inf
        self._guard.restore(~finite)

    def _clip(self, params: list[nn.Parameter]) -> Tensor:
        """Clip the gradients; return their norm before clipping."""
        clip = self.clip_grad_kwargs
        if clip and self.grad_name == 'grad_norm':
            if self.is_sharded:
                return clip_sharded_norm_(params, **clip)
            norm: Tensor = self.clip_func(params, **clip).detach()
            return norm
        norm = total_norm(params)
        if clip:
            self.clip_func(params, **clip)
        return norm

    def _all_finite(self, norm: Tensor) -> Tensor:
        """Tell on the device whether every gradient is finite."""
        finite = torch.isfinite(norm)
        if self._use_fsdp and torch.distributed.is_initialized():
            # Each rank has seen its own shards alone.
            flag = finite.to(torch.int32)
            torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MIN)
            finite = flag.bool()
        return finite

    def share_scaler(self, others: 'Sequence[AmpOptimWrapper]') -> None:
        """Use this wrapper's scaler in others too.

        Args:
            others (Sequence[AmpOptimWrapper]): Not trained with yet.

        Raises:
            ValueError: If their settings of it are not the same.
        """
        cycle = self.loss_scaler.cycle
        cycle.members = [id(self.optimizer)]
        for other in others:
            if not self.loss_scaler.has_settings_of(other.loss_scaler):
                raise ValueError(
                    f'{self.name!r} and {other.name!r} share a loss scaler '
                    f'(loss_scaler={self.scaler_group!r}), but their '
                    'loss_scale or dtype differ: give both the same'
                )
            other.loss_scaler = self.loss_scaler
            cycle.members.append(id(other.optimizer))

    # ---- what it tells -----------------------------------------------------

    def amp_scalars(self) -> dict[str, float]:
        """Return what a log should show; waits for the device.

        Returns:
            dict[str, float]: ``skipped_steps``; ``grad_norm``, the last
            finite one before clipping, once there is one; ``loss_scale``
            where there is a scale.
        """
        scalars = {SKIPPED_STEPS: float(self.record.skipped)}
        if (norm := self.record.grad_norm) is not None:
            scalars[GRAD_NORM] = norm
        if self.loss_scaler.is_enabled():
            scalars[LOSS_SCALE] = self.loss_scaler.get_scale()
        return scalars

    @property
    def precision(self) -> str:
        """str: What it trains in, in words."""
        scaler = self.loss_scaler
        scale = 'no loss scale'
        if scaler.is_enabled():
            kind = 'dynamic' if scaler.dynamic else 'static'
            scale = f'loss scale {scaler.get_scale():g} ({kind})'
        return f'{self._dtype_name()} on {self.device_type}, {scale}'

    def _dtype_name(self) -> str:
        return name_of(self.cast_dtype)

    def __repr__(self) -> str:
        scale = (
            self.loss_scaler.get_scale()
            if (self.loss_scaler.is_enabled())
            else None
        )
        return (
            f'{super().__repr__()}dtype: {self._dtype_name()}\n'
            f'loss_scale: {scale}\n'
        )

    # ---- state -------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state, the scaler's and the counters.

        Returns:
            dict: As MMEngine's wrapper, with ``loss_scaler`` (empty without
            a scale), ``amp_counters`` (windows and skipped windows), and
            inside of an accumulation window ``window``: its gradients so far.
        """
        state = OptimWrapper.state_dict(self)
        state[LOSS_SCALER] = self.loss_scaler.state_dict()
        state[AMP_COUNTERS] = self.record.state_dict()
        return {**state, **self._own_state()}

    def _own_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        if (window := self.window_state()) is not None:
            state[WINDOW] = window
        if self._penalty_scalers:
            state[PENALTY_SCALERS] = [
                scaler.state_dict() for scaler in self._penalty_scalers
            ]
        return state

    def rank_state(self) -> dict[str, Any]:
        """Return the part of the state that ranks do not have in common.

        Returns:
            dict: Of :meth:`state_dict`, on the CPU: ``window``, whose
            gradients ranks average when it ends, unless FSDP2 has them
            averaged and sharded already; ``penalty_scalers``.
        """
        keys = [PENALTY_SCALERS]
        if not self.is_sharded:
            keys.append(WINDOW)
        own = self._own_state()
        state: dict[str, Any] = tree_map(
            _on_cpu, {k: own[k] for k in keys if k in own}
        )
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that any optimizer wrapper saved.

        Args:
            state_dict (dict): From a wrapper in float32, float16 or bfloat16,
                MMEngine's or mmamp's; it is left as it is.
        """
        state = dict(state_dict)
        scaler_state = state.pop(LOSS_SCALER, {})
        counters = state.pop(AMP_COUNTERS, {})
        self._open_window = state.pop(WINDOW, None)
        self._penalty_scalers = []
        for penalty_state in state.pop(PENALTY_SCALERS, []):
            scaler = PenaltyScaler(self._params()[0].device)
            scaler.load_state_dict(penalty_state)
            self._penalty_scalers.append(scaler)
        if self.loss_scaler.is_enabled() and not scaler_state:
            self._say_once(
                'the checkpoint holds no loss scale; it starts at '
                f'{self.loss_scaler.get_scale():g}',
                'fresh scale',
            )
        if scaler_state and not self.loss_scaler.is_enabled():
            self._say_once(
                'the checkpoint holds a loss scale '
                f'({scaler_state.get("scale", 0):g}), which '
                f'{self._dtype_name()} does not need',
                'dropped scale',
            )
        self.loss_scaler.load_state_dict(scaler_state)
        self.record.load_state_dict(counters)
        # MMEngine's version of this takes its keys out of the given dict.
        OptimWrapper.load_state_dict(
            self, with_settings_of(self.optimizer, state)
        )
        lay_out_state(self.optimizer)


def _on_cpu(value: Any) -> Any:
    return value.cpu() if isinstance(value, Tensor) else value


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)
