"""Accumulation windows: true to their length, safe to skip and to resume."""

import logging
from typing import Any

from mmengine.optim import AmpOptimWrapper as MMEngineAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from mmamp.compat.mmengine import let_schedulers_step
from mmamp.compat.torch import BatchNorm
from mmamp.logging.once import LogOnce
from mmamp.precision.dtypes import at_least_float32
from mmamp.utils.checks import check_int

from .accumulation import window
from .buffer_guard import BufferGuard
from .gradients import check_clip_grad
from .step_record import StepRecord
from .window_state import restore_gradients, window_state


class WindowedOptimWrapper(MMEngineAmpOptimWrapper):
    """The part of :class:`AmpOptimWrapper` that counts micro-batches.

    Args:
        optimizer (Optimizer): The optimizer.
        accumulative_counts (int): Micro-batches in a window. Defaults to 1.
        clip_grad (dict, optional): As in MMEngine. Defaults to None.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a value is not valid.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
    ) -> None:
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
        self.name = ''
        self.record = StepRecord()
        self._guard = BufferGuard()
        self._guarded_window = -1
        self._init_counts = 0
        self._open_window: dict[str, Any] | None = None
        self._has_own_grads = False
        self._log_once = LogOnce()

    def initialize_count_status(
        self, model: nn.Module, init_counts: int, max_counts: int
    ) -> None:
        """Tell where in the run this wrapper is.

        Args:
            model (nn.Module): The model; its persistent buffers are restored
                when a window is skipped.
            init_counts (int): Micro-batches so far.
            max_counts (int): Micro-batches in the whole run; -1 if unknown.
        """
        self._inner_count = self._init_counts = init_counts
        self._max_counts = max_counts
        self._guarded_window = -1
        self._meet(model)
        let_schedulers_step(self)
        if self._resumes_window():
            return
        first, last = self._window(init_counts)
        if init_counts % self._accumulative_counts:
            self._say_once(
                f'{init_counts} micro-batches are no multiple of '
                f'accumulative_counts={self._accumulative_counts}: the first '
                f'window has the {last - first} that are left of it',
                'resume',
            )
        if self._accumulative_counts > 1 and self._has_batch_norm(model):
            self._say_once(
                'BatchNorm sees one micro-batch at a time, not the window of '
                f'{self._accumulative_counts}',
                'batch norm',
            )

    def _has_batch_norm(self, model: nn.Module) -> bool:
        """Tell whether there is one among what this wrapper trains."""
        own = {id(param) for param in self._params()}
        return any(
            isinstance(module, BatchNorm)
            and any(id(param) in own for param in module.parameters())
            for module in model.modules()
        )

    def _resumes_window(self) -> bool:
        """Take up the window that the checkpoint was taken in, if any."""
        state, self._open_window = self._open_window, None
        if state is None:
            return False
        for key, what in (
            ('inner_count', 'the run is at micro-batch'),
            ('accumulative_counts', 'accumulative_counts is'),
        ):
            now = getattr(self, f'_{key}')
            if state[key] != now:
                self._say_once(
                    'the checkpoint was taken inside of a window of '
                    f'{state["accumulative_counts"]} micro-batches, which is '
                    f'dropped, since {what} {now} now and was {state[key]}',
                    'dropped window',
                    logging.WARNING,
                )
                return False
        restore_gradients(self._params(), state, self._scale())
        self._init_counts = self._guarded_window = state['first']
        self._guard.load_state(state['buffers'])
        self._has_own_grads = True
        return True

    def _window(self, index: int) -> tuple[int, int]:
        return window(
            index,
            self._accumulative_counts,
            self._init_counts,
            self._max_counts,
        )

    def should_update(self) -> bool:
        """Tell whether the last backward pass completed a window."""
        return (
            self._inner_count > 0
            and self._window(self._inner_count - 1)[1] == self._inner_count
        )

    def should_sync(self) -> bool:
        """Tell whether the next backward pass completes a window."""
        return self._window(self._inner_count)[1] == self._inner_count + 1

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Weight a micro-batch's loss by the real length of its window.

        Args:
            loss (Tensor): Scalar loss.

        Returns:
            Tensor: At least float32, so that a loss scale does not overflow.
        """
        first, last = self._window(self._inner_count)
        loss = at_least_float32(loss)
        return loss if last - first == 1 else loss / (last - first)

    def _meet(self, model: nn.Module) -> bool:
        """Get to know a model; whether it is a new one."""
        return self._guard.watch(model)

    def _enter_window(self) -> None:
        """Keep the buffers from before the window, at its beginning."""
        if self._open_window is not None:
            # Nobody has called initialize_count_status.
            self._inner_count = self._open_window['inner_count']
            self._resumes_window()
        first, _ = self._window(self._inner_count)
        if self._guarded_window != first:
            self._guard.save()
            self._guarded_window = first

    def window_state(self) -> dict[str, Any] | None:
        """Return what a checkpoint needs of the window it is taken in, if any.

        Returns:
            dict or None: Of this rank: under DDP its gradients are not those
            of the others until the window ends. None between windows.
        """
        first, _ = self._window(self._inner_count)
        # The end of the run closes a window too.
        if first == self._inner_count or self.should_update():
            return None
        return window_state(
            self._params(),
            self._guard,
            first,
            self._inner_count,
            self._accumulative_counts,
            self._scale(),
        )

    def _scale(self) -> float:
        """Return the loss scale; 1 where there is none."""
        scale: float = self.loss_scaler.get_scale()
        return scale

    def _params(self) -> list[nn.Parameter]:
        groups = self.optimizer.param_groups
        return [p for group in groups for p in group['params']]

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

    def _say_once(
        self, text: str, key: str, level: int = logging.INFO
    ) -> None:
        """Log a line that names this wrapper, the first time only."""
        who = 'AmpOptimWrapper' + (f' {self.name!r}' if self.name else '')
        self._log_once(f'{who}: {text}.', level, key)
