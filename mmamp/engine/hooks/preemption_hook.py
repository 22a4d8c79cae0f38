"""A checkpoint when the scheduler asks the run to go."""

import os
import signal
import threading
from typing import Any

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import distributed

from mmamp.errors import Preempted
from mmamp.registry import HOOKS
from mmamp.utils.protocols import SavesNow

from .checkpoint_content import name_last, save_plainly

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Save a checkpoint on SIGTERM and SIGUSR1, and end the run.

    The signal is noted; at the end of an iteration all ranks agree on it
    (over gloo, without waiting for a device), save with the run's
    ``CheckpointHook`` and leave with exit code 0. ``--resume`` goes on from
    there, exactly.

    Examples:
        >>> custom_hooks = [dict(type='mmamp.PreemptionHook')]
    """

    # After every other hook of the iteration.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}
        self._group: Any = None
        self._pending: tuple[Any, torch.Tensor] | None = None

    def before_train(self, runner: Any) -> None:
        """Listen from here on."""
        if get_world_size() > 1 and self._group is None:
            self._group = distributed.new_group(backend='gloo')
        if threading.current_thread() is not threading.main_thread():
            print_log(
                'PreemptionHook: training runs outside of the main thread, '
                'where signals cannot be received',
                logger='current',
            )
            return
        self._pid = os.getpid()
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        if os.getpid() == self._pid:  # a forked worker is no rank
            self._signal = number

    def after_train(self, runner: Any) -> None:
        """Listen no more."""
        self.after_run(runner)

    def after_run(self, runner: Any) -> None:
        """Listen no more, where training was broken off too."""
        if self._pending is not None:
            self._pending[0].wait()  # the other ranks' last question
            self._pending = None
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Save and leave, if any rank was asked to."""
        if not self._agreed() or self.is_last_train_iter(runner):
            return
        path = _save(runner)
        name = signal.Signals(self._signal or signal.SIGTERM).name
        runner.logger.info(
            f'Got {name}: saved {path} after iteration {runner.iter + 1}. '
            f'Go on from it with --resume'
        )
        self._restore_handlers()
        raise Preempted(path)

    def _agreed(self) -> bool:
        """Tell whether any rank has got a signal, the same on all of them."""
        asked = self._signal is not None
        if self._group is None:
            return asked
        # The answer to the last iteration's question, which is there by now,
        # so that nobody waits.
        answer = False
        if self._pending is not None:
            work, flag = self._pending
            work.wait()
            answer = bool(flag.item())
        flag = torch.tensor([int(asked)])
        work = distributed.all_reduce(
            flag,
            distributed.ReduceOp.MAX,
            group=self._group,
            async_op=True,
        )
        self._pending = (work, flag)
        return answer


def _save(runner: Any) -> str:
    """Save with the run's own hook, if that can; else plainly."""
    for hook in runner.hooks:
        if isinstance(hook, SavesNow):
            return hook.save_now(runner)
    path = save_plainly(runner, f'iter_{runner.iter + 1}.pth')
    if is_main_process():
        name_last(runner, path)
    return path
