"""What a run says last: how long it took, and what to do with its weights."""

import shlex
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmamp.engine.hooks.checkpoint_hook import CheckpointHook
from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import Generates, Panels

from .resume import other_command


class LastScreen(Hook):
    """Tells what came of a run, once it is at its end.

    Attributes:
        trains (bool): Whether an iteration has begun.
    """

    trains = False

    def before_train(self, runner: Any) -> None:
        """Begin to count."""
        self._begun, self._from = time.monotonic(), runner.iter

    def before_train_iter(self, *_: Any, **__: Any) -> None:
        """Note that there is something to do."""
        self.trains = True

    def tell(self, runner: Any) -> None:
        """Log it.

        Args:
            runner (Runner): Whose training has ended as it should.
        """
        seconds = timedelta(seconds=round(time.monotonic() - self._begun))
        lines = [
            f'Trained {runner.iter - self._from:,} iterations in {seconds}',
            *_weights(runner),
        ]
        print_log('\n    '.join(lines), logger='current')


def _weights(runner: Any) -> list[str]:
    """Say where they are, and which command makes something of them."""
    hooks = [x for x in runner.hooks if isinstance(x, CheckpointHook)]
    last = next((x.last_ckpt for x in hooks if x.last_ckpt), None)
    best = [found for hook in hooks for found in hook.best(runner)]
    lines = [f'last: {last}'] if last else []
    lines += [f'best: {path} ({key} {score:.4g})' for key, score, path in best]
    chosen = best[0][-1] if best else last
    return [*lines, *_next_command(runner, chosen)] if chosen else lines


def _next_command(runner: Any, checkpoint: str) -> list[str]:
    """Return the command that makes something of a checkpoint."""
    # As it was trained: with what the command line has changed.
    config = Path(runner.work_dir, Path(runner.cfg.filename or '').name)
    files = [str(config), checkpoint]
    if isinstance(unwrap(runner.model), Generates | Panels):
        out = ['--out', str(Path(runner.work_dir, 'samples'))]
        command = shlex.join([*files, *out])
        return [f'pictures: {other_command("sample")} {command}']
    if runner.cfg.get('test_evaluator'):
        return [f'scores: {other_command("test")} {shlex.join(files)}']
    return []
