"""The optimizer wrapper for mixed precision."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    ExitStack,
    contextmanager,
    nullcontext,
)
from functools import partial
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import MessageHub, print_log
from mmengine.optim import AmpOptimWrapper as MMEngineAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from mmamp.checkpoint.keys import (
    AMP_COUNTERS,
    INNER_OPTIMIZERS,
    LOSS_SCALER,
    OPTIMIZER_ATTRIBUTES,
    PENALTY_SCALERS,
    TRAINING_WEIGHTS,
    WINDOW,
)
from mmamp.compat.mmengine import let_schedulers_step
from mmamp.compat.torch import as_it_is, skips_by_itself, tree_map
from mmamp.distributed.late_gradients import LateGradients
from mmamp.distributed.no_sync import averaging, no_sync
from mmamp.distributed.one_draw import drawing_alike
from mmamp.distributed.sharding import is_sharded, total_norm
from mmamp.distributed.unused import UnusedParameters, makes_gradients
from mmamp.errors import UsageError
from mmamp.logging.scalar_history import add_scalar
from mmamp.logging.scalars import (
    EFFECTIVE_LR,
    GRAD_NORM,
    LOSS_SCALE,
    SKIPPED_STEPS,
    D,
)
from mmamp.precision.autocast import autocast, autocast_off, in_backward
from mmamp.precision.devices import device_of_type
from mmamp.precision.dtypes import (
    at_least_float32,
    casts,
    is_narrow,
    resolve_dtype,
)
from mmamp.precision.mismatch import explain_mismatch
from mmamp.precision.names import name_of
from mmamp.precision.penalised_norms import watch_penalties
from mmamp.precision.rounded_operands import needs_rounding, warn_slow_cpu
from mmamp.precision.spectral_norm import protect_spectral_norm
from mmamp.registry import OPTIM_WRAPPERS
from mmamp.utils.checks import check_int
from mmamp.utils.listing import listed
from mmamp.utils.modules import params_of, with_inner

from .arguments import take_positional
from .closures import (
    EvaluatingStep,
    Evaluation,
    Evaluations,
    NotFinite,
    drawing_again,
)
from .evaluation_weights import EvaluationWeights
from .foreign_gradients import ForeignGradients, Origin
from .gradient_step import GradientStep
from .gradients import (
    check_clip_grad,
    clip_norm_,
    clip_value_,
    gradients_of,
    norm_type_of,
)
from .higher_order import scaled_grad
from .kernels import fuse, lacks_momentum, with_settings_of
from .limits import check_model, check_optimizer
from .loss_scaler import LossScaler, build_loss_scaler
from .optimizer_state import OptimizerState
from .own_autocast import OwnAutocast
from .penalty_scalers import PenaltyScalers
from .run_length import RunLength
from .step_record import StepRecord
from .tensor_rates import TensorRates
from .traits import traits_of
from .usage import Usage
from .window import Window

LONG_STEP = 5.0
"""Seconds of a first step that are told of."""


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(MMEngineAmpOptimWrapper):
    """Mixed-precision training on any device that torch knows.

    Takes the place of ``mmengine.optim.AmpOptimWrapper`` under the same
    argument names, attributes and checkpoint keys, and differs in what it
    guarantees: autocast covers the forward pass and the loss, never backward
    or step; a window of micro-batches whose gradients are not all finite is
    skipped in every dtype, and leaves parameters and persistent buffers as
    they were; a window that ``max_iters`` cuts short is weighted by its real
    length; nothing needs a GPU.

    Args:
        *args: The optimizer, ``loss_scale``, ``dtype`` and ``use_fsdp``, in
            this order; or as MMEngine's wrapper takes them, without the
            optimizer.
        optimizer (Optimizer, optional): The optimizer, if it is not given by
            position. Defaults to None.
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
            scaler, which falls with a window of any of them and grows by
            windows of each. Defaults to None: a scaler of its own.
        autocast (str): What puts forward passes in mixed precision where a
            ``train_step`` has no ``with optim_wrapper.optim_context(model):``.
            ``'auto'``: the networks that the optimizer owns do it themselves,
            once that is found out, after the first update at the latest, which
            is logged; ``'networks'``: from the start; ``'context'``: it is an
            error. Defaults to ``'auto'``.
        unsaved_state (str): What is done about an optimizer whose state holds
            what no checkpoint can, such as a function: ``'warn'``, and leave
            it out, or ``'error'``, after the first step. Defaults to
            ``'warn'``.

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
        *args: Any,
        optimizer: Optimizer | None = None,
        loss_scale: str | float | dict[str, Any] = 'dynamic',
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
        loss_scaler: str | None = None,
        autocast: str = 'auto',
        unsaved_state: str = 'warn',
    ) -> None:
        given: dict[str, Any] = dict(
            loss_scale=loss_scale, dtype=dtype, use_fsdp=use_fsdp
        )
        optimizer = take_positional(args, optimizer, given)
        if loss_scaler is not None and not (
            isinstance(loss_scaler, str) and loss_scaler
        ):
            raise TypeError(
                "loss_scaler must be None, 'shared' or another name of a "
                f'group of optimizers, but got {loss_scaler!r}'
            )
        if unsaved_state not in ('warn', 'error'):
            raise ValueError(
                "unsaved_state must be 'warn' or 'error', but got "
                f'{unsaved_state!r}'
            )
        check_int('accumulative_counts', accumulative_counts)
        check_clip_grad(clip_grad)
        # MMEngine's constructor of its AMP wrapper, which is skipped here,
        # insists on a GPU.
        OptimWrapper.__init__(
            self,
            optimizer,
            accumulative_counts,
            clip_grad=None if clip_grad is None else dict(clip_grad),
        )
        self.scaler_group = loss_scaler
        self.record = StepRecord()
        self._usage = Usage()
        self._own_autocast = OwnAutocast(
            autocast, self._usage, self.optim_context, self._autocast
        )
        self._window = Window(accumulative_counts)
        self._run = RunLength()
        self._pending: dict[str, Any] | None = None
        self._penalty_scalers = PenaltyScalers()
        self._inside: list[nn.Module] = []
        self._held = ExitStack()
        self._norm: Tensor | None = None
        self._traits = traits_of(optimizer)
        self._evaluations = Evaluations(
            self._traits.evaluates, self.optim_context
        )
        self._weights = EvaluationWeights(optimizer)
        self._state = OptimizerState(optimizer)
        self._rates = TensorRates(optimizer)
        self._unsaved_state, self._has_stepped = unsaved_state, False
        # In a step that computes the loss again: backward passes so far.
        self._made_again: int | None = None
        # Whether ranks average the gradients of its models.
        self._is_averaged = False
        self._sharing: list[AmpOptimWrapper] = [self]
        self._foreign = ForeignGradients(self._params, self._has_scale)
        self._late = LateGradients(self._params())
        # Those of torch draw nothing.
        self._may_draw = not all(
            type(x).__module__.startswith(('torch.optim.', 'mmamp.'))
            for x in with_inner(optimizer)
        )
        # Set by FSDP2Strategy.
        self.unused: UnusedParameters | None = None
        self._dtype, self._loss_scale = given['dtype'], given['loss_scale']
        self._use_fsdp = bool(given['use_fsdp'])
        self.is_sharded = any(is_sharded(p) for p in self._params())
        self._set_up(self._device_type())
        check_optimizer(optimizer, self.loss_scaler.is_enabled())
        self._step = GradientStep(
            optimizer, self.is_sharded, self._use_fsdp, self._usage
        )
        self._was_fused = fuse(optimizer)
        if self._was_fused:
            self._usage.say_once(
                f'{type(optimizer).__name__} steps in fused kernels; '
                'optimizer=dict(fused=False) in the config switches them off',
                'fused',
            )
        if self.loss_scaler.is_enabled() and (
            self._norm_clip().get('error_if_nonfinite')
            and not self._must_be_finite()
        ):
            self._usage.say_once(
                'clip_grad: error_if_nonfinite=True has no effect with a '
                'dynamic loss scale, which finds its height by gradients that '
                'are not finite',
                'error_if_nonfinite',
            )
        if not is_narrow(self.cast_dtype) and self._loss_scale != 'dynamic':
            self._usage.say_once(
                f'loss_scale={self._loss_scale!r} has no effect in '
                f'{self._dtype_name()}, which needs no loss scale',
                'scale',
            )

    def _set_up(self, device_type: str) -> None:
        """Get ready for the device that the parameters are on."""
        self.device_type = self._own_autocast.device_type = device_type
        self.cast_dtype = resolve_dtype(self._dtype, device_type)
        self.loss_scaler: LossScaler = build_loss_scaler(
            self._loss_scale,
            device_type,
            enabled=is_narrow(self.cast_dtype),
            sharded=self._use_fsdp,
        )
        if needs_rounding(device_type, self.cast_dtype):
            warn_slow_cpu(self.cast_dtype)

    def _follow_device(self) -> None:
        """Notice a model that was moved after its optimizer was built."""
        now = self._device_type()
        if now == self.device_type:
            return
        before, old = self.device_type, self.loss_scaler
        for wrapper in self._sharing:
            wrapper._set_up(wrapper._device_type())
        # It goes on where it was, if it is needed there.
        self.loss_scaler.load_state_dict(old.state_dict())
        self.loss_scaler.cycle = old.cycle
        for wrapper in self._sharing:
            wrapper.loss_scaler = self.loss_scaler
        check_optimizer(self.optimizer, self.loss_scaler.is_enabled())
        self._usage.say_once(
            f'its parameters were on {before} when it was built and are on '
            f'{now} now: it trains in {self.precision}',
            'device',
        )

    def _device_type(self) -> str:
        for group in self.optimizer.param_groups:
            for param in group['params']:
                return str(param.device.type)
        raise ValueError(
            f'{type(self.optimizer).__name__} has no parameters to train'
        )

    @property
    def name(self) -> str:
        """str: The optimizer's name in the config; empty if it has none."""
        return self._usage.name

    @name.setter
    def name(self, name: str) -> None:
        self._usage.name = name

    @property
    def evaluates(self) -> bool:
        """bool: Whether the optimizer's step computes the loss again."""
        return self._traits.evaluates

    def watch_frozen(self, params: Mapping[str, nn.Parameter]) -> None:
        """Warn as soon as one of some parameters is to be trained.

        Args:
            params (Mapping[str, Parameter]): By name: those of its modules
                that the optimizer was not given, since they were frozen.
        """
        self._usage.frozen = dict(params)

    # ---- a run begins -------------------------------------------------------

    def meet(self, model: nn.Module) -> None:
        """Learn which model is trained, before the first iteration.

        For wrappers of several optimizers, whose ``initialize_count_status``
        MMEngine's loops do not call.

        Args:
            model (nn.Module): The whole model.
        """
        # A forward pass need not be in optim_context.
        self._weights.train()
        # The wrapper may have been built before the Runner.
        self.message_hub = MessageHub.get_current_instance()
        if casts(self.cast_dtype):
            self._own_autocast.begin(model, self._params())

    def initialize_count_status(
        self, model: nn.Module, init_counts: int, max_counts: int
    ) -> None:
        """Tell where in the run this wrapper is.

        Args:
            model (nn.Module): The model; its persistent buffers are restored
                when a window is skipped.
            init_counts (int): Micro-batches so far.
            max_counts (int): Micro-batches in the whole run; -1 if unknown.
                Under a Runner both are iterations; where an iteration has
                several micro-batches, it is found out how many.

        Raises:
            ValueError: If windows do not work with the model's wrapper.
        """
        check_model(
            model, self._accumulative_counts, self._traits.second_order
        )
        self._begin_anew()
        self.meet(model)
        self._inner_count = self._run.begin(
            init_counts, max_counts, self.message_hub
        )
        self._max_counts = max_counts
        self._window.move_to(self._inner_count, max_counts)
        self._watch(model)
        let_schedulers_step(self)
        if self._resumes_window():
            return
        first, last = self._window.bounds(self._inner_count)
        if self._inner_count % self._accumulative_counts:
            self._usage.say_once(
                f'{self._inner_count} micro-batches are no multiple of '
                f'accumulative_counts={self._accumulative_counts}: the first '
                f'window has the {last - first} that are left of it',
                'resume',
            )
        self._usage.check_batch_norm(
            model, self._params(), self._accumulative_counts
        )

    def _begin_anew(self) -> None:
        """Drop what is left of a window of another run."""
        if self._window.micro_batches:
            self._drop_window()
            self.optimizer.zero_grad()

    def _watch(self, model: nn.Module) -> None:
        """Get to know a model: its buffers, its spectral norms."""
        is_new = self._window.guard.watch(model)
        if not is_new or not casts(self.cast_dtype):
            return
        if is_narrow(self.cast_dtype):
            watch_penalties(model, self._usage.log_once)
        if names := protect_spectral_norm(model):
            print_log(
                f'torch.nn.utils spectral norm of {len(names)} layer(s), such '
                f'as {names[0]!r}, estimates the norm in float32',
                logger='current',
            )

    def _resumes_window(self) -> bool:
        """Take up the window that the checkpoint was taken in, if any."""
        state, self._pending = self._pending, None
        if state is None:
            return False
        for key, what in (
            ('inner_count', 'the run is at micro-batch'),
            ('accumulative_counts', 'accumulative_counts is'),
        ):
            now = getattr(self, f'_{key}')
            if state[key] != now:
                self._usage.say_once(
                    'the checkpoint was taken inside of a window of '
                    f'{state["accumulative_counts"]} micro-batches, which is '
                    f'dropped, since {what} {now} now and was {state[key]}',
                    'dropped window',
                    logging.WARNING,
                )
                return False
        if lacking := self._lacks_in_window():
            self._usage.say_once(
                'the checkpoint was taken inside of a window of '
                f'micro-batches, and {lacking}, for which no checkpoint has '
                'what it takes: what there was of the window is dropped',
                'dropped window',
                logging.WARNING,
            )
            return False
        params = self._params()
        scale = self.loss_scaler.begin_window(self.optimizer, params[0].device)
        self._window.load_state(state, params, scale)
        self._usage.has_own_gradients = True
        return True

    def _lacks_in_window(self) -> str:
        """Return what keeps a window from being taken up; mostly nothing."""
        if self._evaluations.records:
            what = 'computes the losses of its micro-batches again'
        elif self._traits.second_order:
            what = 'differentiates its gradients'
        else:
            return ''
        return f'{type(self.optimizer).__name__} {what} in its step'

    # ---- an update: forward, backward, step ---------------------------------

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run a forward pass, and its loss, in mixed precision.

        Args:
            model (nn.Module): The network that is trained. Under DDP its
                gradients are synchronised once a window.

        Raises:
            Exception: What the pass raises. If it is about dtypes, the log
                says which module it comes from, and what mends it.
        """
        self._follow_device()
        self._own_autocast.was_reached = True
        self._watch(model)
        self._enter_window()
        self._inside.append(model)
        self._hold_gradients()
        try:
            with (
                self._window.guard.forward(),
                self._noted(model),
                self._autocast(),
            ):
                yield
        except Exception as error:
            if casts(self.cast_dtype):
                explain_mismatch(
                    error, self._own_autocast.model or model, self.cast_dtype
                )
            raise
        finally:
            self._inside.remove(model)
            self._hold_gradients()

    def _noted(self, model: nn.Module) -> AbstractContextManager[None]:
        """Note how the loss is computed, if the step has to do so again."""
        if self._evaluations.records or self._made_again is not None:
            self._is_averaged = self.is_sharded or bool(averaging(model))
        if self._made_again is not None:
            return nullcontext()
        return self._evaluations.forward(model)

    def _autocast(self) -> AbstractContextManager[None]:
        return autocast(self.device_type, self.cast_dtype)

    def _missed_context(self, is_step: bool = False) -> bool:
        """Tell whether its forward passes are in float32, and stay so."""
        return (
            casts(self.cast_dtype)
            and not self._own_autocast.was_reached
            and not self._own_autocast.missed(is_step)
        )

    def _hold_gradients(self) -> None:
        """Keep them on their rank until the window's last backward pass.

        Decided anew after each, since several may be made in one context.
        """
        self._held.close()
        if not self.should_sync():
            for model in self._inside:
                self._held.enter_context(no_sync(model))

    def _enter_window(self) -> None:
        if self._made_again is not None:
            return
        self._weights.train()
        if self._pending is not None:
            # Nobody has called initialize_count_status.
            self._inner_count = self._pending['inner_count']
            self._resumes_window()
        elif self._window.has_gradients and all(
            param.grad is None for param in self._params()
        ):
            self._drop_window()  # optimizer.zero_grad(), not the wrapper's
        self._window.end = self._run.end(self._inner_count)
        self._window.enter(self._inner_count, self._params())

    def should_sync(self) -> bool:
        """Tell whether the next backward pass completes a window."""
        return self._window.bounds(self._inner_count)[1] <= (
            self._inner_count + 1
        )

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Weight a micro-batch's loss by the real length of its window.

        Args:
            loss (Tensor): Scalar loss.

        Returns:
            Tensor: At least float32, so that a loss scale does not overflow.
        """
        self._enter_window()
        first, last = self._window.bounds(self._inner_count)
        loss = at_least_float32(loss)
        return loss if last - first <= 1 else loss / (last - first)

    @as_it_is
    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Backward of the scaled loss, with autocast off.

        Args:
            loss (Tensor): Scalar loss.
            **kwargs: Arguments of ``torch.Tensor.backward``.
        """
        if self._made_again is not None:
            self._made_again += 1
            self._run_backward(loss, kwargs)
            return
        self._follow_device()
        let_schedulers_step(self)
        params = self._params()
        self._usage.check_backward(
            params,
            self._missed_context(),
            bool(self._inside),
            self.device_type,
        )
        self._enter_window()
        window = self._window
        if not window.micro_batches:
            window.scale = self._begin_scale(
                loss.device, self._origins_in_group()
            )
        self._usage.has_own_gradients = True
        self._run_backward(loss, kwargs)
        with torch.no_grad():
            self._evaluations.add(loss, self.scale_loss, self._inner_count)
        window.add(any(p.grad is not None for p in params))
        self._inner_count += 1
        self._run.add_micro_batch()
        self._penalty_scalers.end_micro_batch()
        self._hold_gradients()

    def _run_backward(self, loss: Tensor, kwargs: dict[str, Any]) -> None:
        """Run the backward pass of a loss, at the window's scale."""
        window = self._window
        origin = Origin(self._usage.who, self.loss_scaler, window.scale)
        if self._traits.second_order:
            kwargs = dict(kwargs, create_graph=True)
        with (
            in_backward(self.device_type, self.cast_dtype),
            makes_gradients(),
            self._foreign.backward(origin),
        ):
            scaled = at_least_float32(loss)
            if window.scale is not None:
                scaled = scaled * window.scale
            with window.guard.backward(scaled):
                scaled.backward(**kwargs)

    def _origins_in_group(self) -> list[Origin]:
        """Return what has made gradients that are there before a window."""
        return [
            origin
            for wrapper in self._sharing
            for origin in wrapper._foreign.origins(as_made=wrapper is self)
            if origin.scaler is self.loss_scaler
        ]

    def _begin_scale(
        self, device: torch.device, origins: list[Origin]
    ) -> Tensor | None:
        """Return the loss scale for a window; None where there is none.

        Args:
            device (torch.device): Of the loss.
            origins (list[Origin]): Of gradients of its group that keep the
                scale that they have, and that this window has too.
        """
        scale = self.loss_scaler.begin_window(self.optimizer, device)
        for origin in origins:
            if scale is not None and origin.scale is not None:
                scale.copy_(origin.scale)
        return scale

    def update_params(
        self,
        loss: Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Make the gradients of a micro-batch, and a step if it is the last.

        Args:
            loss (Tensor): Scalar loss.
            step_kwargs (dict, optional): Arguments of ``optimizer.step``. A
                ``closure``, which may be given with each micro-batch,
                computes its loss again, in an ``optim_context``. Defaults to
                None.
            zero_kwargs (dict, optional): Arguments of
                ``optimizer.zero_grad``. Defaults to None.
        """
        step_kwargs = dict(step_kwargs or {})
        if (closure := step_kwargs.pop('closure', None)) is not None:
            self._evaluations.give(closure)
        super().update_params(loss, step_kwargs, zero_kwargs)

    def should_update(self) -> bool:
        """Tell whether the last backward pass completed a window."""
        return 0 < self._window.last <= self._inner_count

    @as_it_is
    def step(self, **kwargs: Any) -> None:
        """Unscale and clip the gradients, step if all are finite.

        Args:
            **kwargs: Arguments of ``optimizer.step``. A ``closure`` computes
                the window's loss; what its backward pass makes, here if it
                makes none itself, is unscaled, clipped and judged too.

        Raises:
            UsageError: If the optimizer computes the loss again, and nobody
                knows how; ``OptimizerError`` if its own code fails.
        """
        closure = kwargs.pop('closure', None)
        if closure is not None and not self._has_gradients():
            loss = closure()
            if not self._has_gradients():
                self.backward(loss)
        self._missed_context(is_step=True)
        scaler = self.loss_scaler
        self._average_late()
        if self.unused is not None:
            self.unused.end_window(self._params())
        params = [p for p in self._params() if p.grad is not None]
        if not params:
            self._usage.say_once(
                'no parameter got a gradient: the step is left out',
                'no gradient',
                logging.WARNING,
            )
            scaler.end_window(self.optimizer)
            self._window.drop()
            self._evaluations.clear()
            return
        self._take_over(params[0].device)
        is_scaled = self._window.scale is not None or scaler.cycle.is_by_hand(
            self.optimizer
        )
        if not is_scaled and scaler.is_enabled():
            self._usage.say_once(
                'step() was called on gradients that it did not make: they '
                'are taken as unscaled. Call optim_wrapper.backward(loss), '
                'not loss.backward()',
                'unscaled',
                logging.WARNING,
            )
        began = time.perf_counter()
        with (
            autocast_off(self.device_type),
            self._rates.in_place(),
            self._drawn(params[0].device),
        ):
            at_minimum = scaler.at_minimum(self.optimizer)
            norm, finite = self._step.run(
                params,
                scaler if is_scaled else None,
                norm_type_of(self._norm_clip()),
                self._can_step_on_device(),
                self._must_be_finite(),
                self._clip,
                kwargs,
                self._evaluating(closure),
            )
            guard = self._window.guard
            if isinstance(finite, Tensor):
                guard.restore(~finite)
            elif finite:
                guard.accept()
            else:
                guard.restore()
            self.record.add(norm, finite, at_minimum)
            scaler.end_window(self.optimizer)
            self._window.close()
            self._foreign.forget()
            self._evaluations.clear()
        if not self._has_stepped:
            self._has_stepped = True
            self._tell_of_first_step(time.perf_counter() - began)
        self._log_norm()
        self._hold_gradients()
        # A second forward pass in the same context shall not meet the
        # weights from before the step.
        torch.clear_autocast_cache()

    def _average_late(self) -> None:
        """Average gradients that no model wrapper knows of."""
        if self._use_fsdp:
            return  # its parameters are parts, of all ranks another
        if late := self._late.average(self._params()):
            self._usage.say_once(
                f'{late} parameters were frozen when training began and are '
                'trained now: no model wrapper knows of them, and their '
                'gradients are averaged over the ranks before the step',
                'late',
            )

    def _drawn(self, device: torch.device) -> AbstractContextManager[None]:
        """Have an optimizer that may draw numbers draw the same on all ranks.

        One that computes losses again has dropout in its step.
        """
        if (
            not self._may_draw
            or self.is_sharded
            or self._traits.evaluates
            or get_world_size() == 1
        ):
            return nullcontext()
        return drawing_alike(self.record.windows, device)

    def _tell_of_first_step(self, seconds: float) -> None:
        """Say what the first step shows of an optimizer."""
        if seconds > LONG_STEP:
            self._usage.say_once(
                f'the first step of {type(self.optimizer).__name__} took '
                f'{seconds:.0f} s, as one that is compiled does; those after '
                'it are short',
                'long step',
            )
        # Not hours later, when it is saved; a state that is gathered from
        # other ranks is not asked for.
        if type(self.optimizer).state_dict is Optimizer.state_dict:
            self._plain_state()

    def _has_gradients(self) -> bool:
        return any(p.grad is not None for p in self._params())

    def _evaluating(
        self, closure: Callable[[], Any] | None
    ) -> Callable[..., bool] | None:
        """Return what makes a step that computes the loss again, if it does.

        Args:
            closure (Callable, optional): Of the whole window, if it was given
                to the step; else those of its micro-batches are taken.
        """
        if closure is None and not self._evaluations.records:
            return None
        return partial(self._make_evaluating, closure)

    def _make_evaluating(
        self, closure: Callable[[], Any] | None, **kwargs: Any
    ) -> bool:
        """Make such a step, of gradients that are finite."""
        loss = None
        closures: list[Callable[[], Any]]
        if closure is not None:
            closures = [closure]
        else:
            who = f'{self._usage.who}: {type(self.optimizer).__name__}'
            found = self._evaluations.take(self._window.micro_batches, who)
            closures = [partial(self._again, x) for x in found]
            loss = self._evaluations.loss
        step = EvaluatingStep(
            self.optimizer,
            partial(self._evaluate, closures),
            None if loss is None else self._over_ranks(loss),
            self._usage.who,
        )
        return step(**kwargs)

    def _over_ranks(self, loss: Tensor) -> Tensor:
        """Average a loss as its gradients are: steps may depend on it."""
        if self._is_averaged:
            loss = loss.detach().clone()
            all_reduce(loss, 'mean')
        return loss

    def _again(self, evaluation: Evaluation) -> Tensor:
        """Compute the loss of a micro-batch again, and its gradients."""
        index, self._inner_count = self._inner_count, evaluation.index
        before = self._made_again
        try:
            with drawing_again(evaluation):
                loss: Tensor = evaluation.closure()
                if self._made_again == before:
                    loss = self.scale_loss(loss)
                    self.backward(loss)
        finally:
            self._inner_count = index
            self._penalty_scalers.end_micro_batch()
        return loss

    def _evaluate(self, closures: Sequence[Callable[[], Any]]) -> Tensor:
        """Make the window's gradients anew, for what the weights are now."""
        params = self._params()
        self._made_again = 0
        try:
            losses = [torch.as_tensor(closure()) for closure in closures]
            has_own = any(p.grad is not None for p in params)
            if not (self._made_again or has_own):
                self.backward(losses[0])
            is_scaled = self._made_again > 0
        finally:
            self._made_again = None
            self._penalty_scalers.end_micro_batch()
        self._hold_gradients()
        self._average_late()
        grads = gradients_of(params)
        scale = self._window.scale
        with autocast_off(self.device_type), torch.no_grad():
            if is_scaled and scale is not None:
                for grad in grads:
                    grad.div_(scale.to(grad.device))
            norm, is_finite = self._step.decide(
                grads, None, norm_type_of(self._norm_clip())
            )
            if not is_finite:
                if scale is not None:
                    found = torch.tensor(True)
                    self.loss_scaler.add_found(self.optimizer, found)
                raise NotFinite
            self._clip(norm)
        total = torch.stack([loss.detach() for loss in losses]).sum()
        return self._over_ranks(total)

    def _take_over(self, device: torch.device) -> None:
        """Take over gradients that others' backward passes have made.

        Raises:
            UsageError: If they are at a loss scale that is not this one's.
        """
        window = self._window
        for origin in self._foreign.origins():
            if origin.scaler is self.loss_scaler:
                if window.scale is None:
                    window.scale = self._begin_scale(device, [origin])
            elif window.micro_batches or not origin.scaler.is_unscaled(
                self.optimizer
            ):
                raise UsageError(
                    f'{self._usage.who}: step() was called on gradients that '
                    f'the backward pass of another ({origin.who}) has made, '
                    'at its loss scale. If one loss trains both, have them '
                    "share a scaler (loss_scaler='shared'; by hand: "
                    'share_scaler); if not, freeze this network meanwhile, '
                    'or call zero_grad() here and then backward(loss)'
                )

    def _log_norm(self) -> None:
        """Log what is clipped, as MMEngine's wrapper does."""
        norm = self.record.norm
        if norm is None or not self._norm_clip():
            return
        prefix = f'{self.name}.' if self.name else ''
        add_scalar(self.message_hub, f'train/{prefix}{GRAD_NORM}', norm)

    def _must_be_finite(self) -> bool:
        """Tell whether gradients that are not finite end the run."""
        # With a dynamic scale they are its daily work.
        dynamic = self.loss_scaler.is_enabled() and self.loss_scaler.dynamic
        return not dynamic and bool(
            self._norm_clip().get('error_if_nonfinite')
        )

    def _can_step_on_device(self) -> bool:
        # The fused kernels have no `found_inf` for sharded parameters; and
        # where there is no device to wait for, looking first is cheaper.
        return (
            skips_by_itself(self.optimizer)
            and not self.is_sharded
            and not (
                self._was_fused
                and not device_of_type(self.device_type).has_queue
            )
            and not lacks_momentum(self.optimizer)
        )

    def _norm_clip(self) -> dict[str, Any]:
        """Return how the norm is clipped; empty if it is not."""
        if self.clip_grad_kwargs and self.grad_name == 'grad_norm':
            return dict(self.clip_grad_kwargs)
        return {}

    def _clip(self, norm: Tensor) -> None:
        if self.clip_grad_kwargs:
            self._norm = norm.detach()
            self._clip_grad()
            self._norm = None

    def _clip_grad(self) -> None:
        """Clip the unscaled gradients.

        A subclass may do something else instead; MMEngine's has this name.
        """
        grads = gradients_of(self._params())
        if not (clip := self._norm_clip()):
            clip_value = self.clip_grad_kwargs['clip_value']
            foreach = self.clip_grad_kwargs.get('foreach')
            clip_value_(grads, clip_value, foreach)
            return
        norm = self._norm
        if norm is None:  # not called by `step`
            norm = total_norm(grads, norm_type_of(clip))
        clip_norm_(grads, clip['max_norm'], norm, clip.get('foreach'))

    def zero_grad(self, **kwargs: Any) -> None:
        """Drop the gradients.

        Args:
            **kwargs: Arguments of ``optimizer.zero_grad``.
        """
        if self._made_again is not None:
            super().zero_grad(**kwargs)
            return
        if self._window.micro_batches:
            self._drop_window()
        self._evaluations.clear()
        self._pending = None  # its gradients are not wanted either
        self._foreign.forget()
        # Zeros that are kept are nobody else's gradients.
        self._usage.has_own_gradients = not kwargs.get('set_to_none', True)
        super().zero_grad(**kwargs)

    def _drop_window(self) -> None:
        self._window.drop()
        self._evaluations.clear()
        self.loss_scaler.drop_window(self.optimizer)

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
            and self._window.guard.holds(self._params())
        ):
            raise RuntimeError(
                f'{self.name or "optim_wrapper"}: a gradient that is '
                'differentiated again needs a network that FSDP2 keeps '
                'gathered: name it in the property `higher_order_networks` '
                'of a BaseGAN, or run the update `with mmamp.sharding.whole('
                'network, optim_wrapper.optimizer):`'
            )
        with in_backward(self.device_type, self.cast_dtype):
            if is_narrow(self.cast_dtype):
                scaler = self._penalty_scalers.of_call(
                    outputs, create_graph, self._params()
                )
                return scaled_grad(scaler, outputs, inputs, **kwargs)
            grads = torch.autograd.grad(outputs, inputs, **kwargs)
            return tuple(
                None if g is None else at_least_float32(g) for g in grads
            )

    # ---- a scaler for several ----------------------------------------------

    def share_scaler(self, others: 'Sequence[AmpOptimWrapper]') -> None:
        """Use this wrapper's scaler in others too.

        Args:
            others (Sequence[AmpOptimWrapper]): Not trained with yet.

        Raises:
            ValueError: If their settings of it are not the same.
        """
        cycle = self.loss_scaler.cycle
        cycle.members = [self.optimizer]
        self._sharing = [self, *others]
        for other in others:
            if not self.loss_scaler.has_settings_of(other.loss_scaler):
                raise ValueError(
                    f'{self.name!r} and {other.name!r} share a loss scaler '
                    f'(loss_scaler={self.scaler_group!r}), but their '
                    'loss_scale or dtype differ: give both the same'
                )
            other.loss_scaler = self.loss_scaler
            other._sharing = self._sharing
            cycle.members.append(other.optimizer)

    # ---- what it tells -----------------------------------------------------

    def amp_scalars(self) -> dict[str, float]:
        """Return what a log should show; waits for the device.

        Returns:
            dict[str, float]: ``skipped_steps``; ``grad_norm``, the last
            finite one before clipping, once there is one; ``loss_scale``
            where there is a scale; ``d`` and ``effective_lr`` of an optimizer
            that finds its learning rate itself.
        """
        scalars = {SKIPPED_STEPS: float(self.record.skipped)}
        if (norm := self.record.grad_norm) is not None:
            scalars[GRAD_NORM] = norm
        if self.loss_scaler.is_enabled():
            scalars[LOSS_SCALE] = self.loss_scaler.get_scale()
        (group, *_) = self.optimizer.param_groups
        if 'd' in group and 'lr' in group:
            # Of Prodigy and D-Adaptation, whose `lr` is a factor of it.
            scalars[D] = float(group['d'])
            scalars[EFFECTIVE_LR] = scalars[D] * float(group['lr'])
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

    def _has_scale(self) -> bool:
        return self.loss_scaler.is_enabled()

    def _dtype_name(self) -> str:
        return name_of(self.cast_dtype)

    @property
    def step_was_skipped(self) -> bool:
        """bool: Whether the last window was skipped.

        With a fused optimizer reading it waits for the device.
        """
        return self.record.last_was_skipped

    @property
    def skipped_steps(self) -> int:
        """int: Windows skipped so far, those before a resume included."""
        return self.record.skipped

    @property
    def stuck_steps(self) -> int:
        """int: Skipped windows that no lower scale could mend.

        That is at the minimum of a dynamic loss scale, with a static one, or
        with none; a finite window takes 1/64 off it. With a fused optimizer
        reading it waits for the device.
        """
        return self.record.stuck

    @property
    def is_in_window(self) -> bool:
        """bool: Whether there are gradients that no step has used yet."""
        return self._pending is not None or bool(self._window.micro_batches)

    def judged_buffers(
        self, others: 'Sequence[AmpOptimWrapper]' = ()
    ) -> AbstractContextManager[None]:
        """Have the model's buffers be as the last step left them.

        For whoever uses the model inside of a window. What the windows'
        forward passes have changed is there again afterwards.

        Args:
            others (Sequence[AmpOptimWrapper]): Those that train the same
                model. Defaults to none.

        Returns:
            AbstractContextManager: For a ``with`` statement.
        """
        return judged([self, *others])

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Have the model show what the optimizer has for evaluation.

        A schedule-free optimizer trains on other weights than it evaluates,
        and Lookahead on fast ones; training goes on from its own, bit for bit.
        Nothing changes with optimizers that have no such weights.

        Returns:
            AbstractContextManager: For a ``with`` statement.
        """
        return self._weights.shown()

    def _params(self) -> list[nn.Parameter]:
        return params_of(self.optimizer)

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
        state = self._plain_state()
        state[LOSS_SCALER] = self.loss_scaler.state_dict()
        state[AMP_COUNTERS] = {
            **self.record.state_dict(),
            **self._run.state_dict(self._inner_count),
            **self._own_autocast.state_dict(),
        }
        return {**state, **self._own_state()}

    def _plain_state(self, shown: int = 3) -> dict[str, Any]:
        """Return the optimizer's state, as far as a checkpoint can hold it."""
        state, lost = self._state.plain(OptimWrapper.state_dict(self))
        attributes, unsaved = self._state.attributes.changed()
        if attributes:
            state[OPTIMIZER_ATTRIBUTES] = attributes
        lost += unsaved
        if not lost:
            return state
        text = (
            f'{type(self.optimizer).__name__} keeps in its state what a '
            'checkpoint that loads with weights_only=True cannot hold: '
            f'{listed(lost, shown)}'
        )
        if self._unsaved_state == 'error':
            raise UsageError(
                f"{self._usage.who}: {text} (unsaved_state='error')"
            )
        self._usage.say_once(
            f'{text}. It is left out, so that a run that is resumed may fail '
            'there, or go on otherwise',
            'lost state',
            logging.WARNING,
        )
        return state

    def _own_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        if (window := self.window_state()) is not None:
            state[WINDOW] = window
            self._warn_of_window()
        if pairs := self._penalty_scalers.state_dict():
            state[PENALTY_SCALERS] = pairs
        if (weights := self._weights.state()) is not None:
            state[TRAINING_WEIGHTS] = weights
        return state

    def _warn_of_window(self) -> None:
        """Warn if a window that is saved cannot be taken up."""
        if lacking := self._lacks_in_window():
            self._usage.say_once(
                'a checkpoint is taken inside of a window of '
                f'{self._accumulative_counts} micro-batches, and {lacking}: a '
                'run that is resumed from it drops what there is of the '
                'window. A multiple of that as the interval of checkpoints '
                'saves between windows',
                'window in a checkpoint',
                logging.WARNING,
            )

    def window_state(self) -> dict[str, Any] | None:
        """Return what a checkpoint needs of the window it is taken in, if any.

        Returns:
            dict or None: Of this rank: under DDP its gradients are not those
            of the others until the window ends. None between windows.
        """
        if self._pending is not None:
            return self._pending
        return self._window.state(self._params(), self._inner_count)

    def rank_state(self) -> dict[str, Any]:
        """Return the part of the state that ranks do not have in common.

        Returns:
            dict: Of :meth:`state_dict`, on the CPU: ``window``, whose
            gradients ranks average when it ends, but for those that FSDP2
            has averaged and sharded already; ``penalty_scalers``;
            ``optimizer_attributes``.
        """
        own = self._own_state()
        kept = {k: own[k] for k in (PENALTY_SCALERS, WINDOW) if k in own}
        # A rank alone has them in the state of all.
        if get_world_size() > 1 and (
            attributes := self._state.attributes.changed()[0]
        ):
            kept[OPTIMIZER_ATTRIBUTES] = attributes
        if self.is_sharded and WINDOW in kept:
            kept[WINDOW] = dict(buffers=kept[WINDOW]['buffers'])
        state: dict[str, Any] = tree_map(_on_cpu, kept)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that any optimizer wrapper saved.

        Args:
            state_dict (dict): From a wrapper in float32, float16 or bfloat16,
                MMEngine's or mmamp's; it is left as it is.
        """
        state = dict(state_dict)
        self._begin_anew()
        scaler_state = state.pop(LOSS_SCALER, {})
        counters = state.pop(AMP_COUNTERS, {})
        window = state.pop(WINDOW, None)
        penalties = state.pop(PENALTY_SCALERS, [])
        weights = state.pop(TRAINING_WEIGHTS, None)
        inner = state.pop(INNER_OPTIMIZERS, [])
        attributes = state.pop(OPTIMIZER_ATTRIBUTES, {})
        state = self._state.read(state)
        with self._state.groups_kept():
            # MMEngine's version of this takes its keys out of the given dict.
            OptimWrapper.load_state_dict(
                self, with_settings_of(self.optimizer, state)
            )
            self._state.load_inner(inner)
        self._state.settle(state)
        self._state.attributes.load(attributes)
        self._rates.take()
        self._weights.load_state(weights)
        self._pending = window
        self._penalty_scalers.load_state_dict(
            penalties, self._params()[0].device
        )
        if self.loss_scaler.is_enabled() and not scaler_state:
            self._usage.say_once(
                'the checkpoint holds no loss scale; it starts at '
                f'{self.loss_scaler.get_scale():g}',
                'fresh scale',
            )
        if scaler_state and not self.loss_scaler.is_enabled():
            self._usage.say_once(
                'the checkpoint holds a loss scale '
                f'({scaler_state.get("scale", 0):g}), which '
                f'{self._dtype_name()} does not need',
                'dropped scale',
            )
        self.loss_scaler.load_state_dict(scaler_state)
        self.record.load_state_dict(counters)
        self._run.load_state_dict(counters)
        self._own_autocast.load_state_dict(counters)


@contextmanager
def judged(wrappers: Sequence[AmpOptimWrapper]) -> Iterator[None]:
    """Have buffers be as the last steps of several wrappers left them."""
    guards = [wrapper._window.guard for wrapper in wrappers]
    for guard in guards:
        guard.keep_state()
    with ExitStack() as stack:
        for guard in guards:
            stack.callback(guard.forget_state)
        for guard in guards:
            stack.enter_context(guard.judged())
        yield


def _on_cpu(value: Any) -> Any:
    return value.cpu() if isinstance(value, Tensor) else value


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)
