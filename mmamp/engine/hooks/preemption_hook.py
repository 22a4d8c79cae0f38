"""A checkpoint when the scheduler asks the run to go."""

import os
import signal
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_comm_device, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import distributed

from mmamp.distributed.cpu_group import cpu_group
from mmamp.errors import Preempted
from mmamp.registry import HOOKS
from mmamp.utils.protocols import SavesNow

from .checkpoint_content import name_last, save_this_iteration
from .runner_access import logging_interval
from .signal_listener import SignalListener


def _torchrun() -> int | None:
    """Return the process of the torchrun that has started this one.

    None if a shell is in between, or the system does not say.
    """
    parent = os.getppid()
    try:
        command = Path(f'/proc/{parent}/cmdline').read_bytes()
    except OSError:
        return None
    names = (b'torch.distributed.run', b'torchrun')
    return parent if any(name in command for name in names) else None


_TORCHRUN = _torchrun() if 'TORCHELASTIC_RUN_ID' in os.environ else None
"""As this is imported, which is before the ranks meet; they need it for that.
"""

_ORPHAN = 1000
"""Among numbers of signals, which are smaller."""


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Save a checkpoint on SIGTERM and SIGUSR1, and end the run.

    The first signal is noted; at the end of an iteration all ranks agree on
    it (over gloo, without waiting for a device), save with the run's
    ``CheckpointHook`` and leave with exit code 0. ``--resume`` goes on from
    there, exactly. A second signal acts at once, as it did before the run,
    also where an iteration hangs. Where gloo cannot connect the ranks they
    agree over the run's own backend, when the log is written.

    A torchrun that was killed has told its ranks nothing: those that it has
    started itself end likewise (on Linux), or else they would train on beside
    the run that takes their place.

    Examples:
        >>> custom_hooks = [dict(type='mmamp.PreemptionHook')]
    """

    # After every other hook of the iteration.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._signals = SignalListener()
        self._group: Any = None
        self._pending: tuple[Any, torch.Tensor] | None = None

    def before_train(self, runner: Any) -> None:
        """Listen from here on."""
        if self._group is None:
            self._group = cpu_group('PreemptionHook', runner.cfg)
        self._pending = None
        if not self._signals.begin(runner):
            print_log(
                'PreemptionHook: training runs outside of the main thread, '
                'where signals cannot be received',
                logger='current',
            )

    def after_train(self, runner: Any) -> None:
        """Listen no more."""
        self.after_run(runner)

    def after_run(self, runner: Any) -> None:
        """Listen no more, where training was broken off too."""
        self._hear_out()
        self._signals.end()

    def _hear_out(self) -> None:
        """Wait for the last question of all ranks, which nobody needs.

        A process that ends meanwhile may be aborted by the thread that asks.
        """
        if self._pending is not None:
            self._pending[0].wait()
            self._pending = None
        if self._group not in (None, distributed.group.WORLD):
            distributed.destroy_process_group(self._group)
        self._group = None

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Save and leave, if any rank was asked to."""
        reason = self._agreed(runner)
        if reason == 0 or self.is_last_train_iter(runner):
            return
        path = _save(runner)
        why = (
            'torchrun has gone'
            if reason == _ORPHAN
            else f'Got {signal.Signals(reason).name}'
        )
        runner.logger.info(
            f'{why}: saved {path} after iteration {runner.iter + 1}. '
            f'Go on from it with --resume'
        )
        self.after_run(runner)
        raise Preempted(path)

    def _agreed(self, runner: Any) -> int:
        """Return why any rank has to end, the same on all of them.

        A signal's number, or :data:`_ORPHAN`; 0 if none has to.
        """
        reason = self._signals.received or _is_orphan() * _ORPHAN
        if get_world_size() == 1:
            return reason
        if self._group is None:
            # One that may wait for the device, as the log does.
            if not self.every_n_train_iters(runner, logging_interval(runner)):
                return 0
            flag = torch.tensor([reason], device=get_comm_device())
            distributed.all_reduce(flag, distributed.ReduceOp.MAX)
            return int(flag.item())
        # The answer to the last iteration's question, which is there by now,
        # so that nobody waits.
        answer = 0
        if self._pending is not None:
            work, flag = self._pending
            work.wait()
            answer = int(flag.item())
        flag = torch.tensor([reason])
        work = distributed.all_reduce(
            flag,
            distributed.ReduceOp.MAX,
            group=self._group,
            async_op=True,
        )
        self._pending = (work, flag)
        return answer


def _is_orphan() -> bool:
    return _TORCHRUN is not None and os.getppid() != _TORCHRUN


def _save(runner: Any) -> str:
    """Save with the run's own hook, if that can; else plainly."""
    for hook in runner.hooks:
        if isinstance(hook, SavesNow):
            return hook.save_now(runner)
    path = save_this_iteration(runner, f'iter_{runner.iter + 1}.pth')
    if is_main_process():
        name_last(runner, path)
    return path
