"""Checkpoints that survive a kill at any moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import (
    all_gather_object,
    get_rank,
    get_world_size,
    is_main_process,
)
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook

from mmamp.randomness import rng_state
from mmamp.registry import HOOKS

from ..file_backend import AtomicLocalBackend, remove_leftovers
from .runner_access import named_wrappers


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's ``CheckpointHook``, safe against being killed.

    On a local disk a checkpoint is written under another name, flushed and
    renamed, and those that ``max_keep_ckpts`` (or a better score) makes
    superfluous are removed only then: with ``max_keep_ckpts=1`` too there is
    a whole checkpoint at every moment. The random-number states of all ranks
    are in it.

    Args:
        *args: Arguments of MMEngine's hook.
        **kwargs: Arguments of MMEngine's hook.

    Examples:
        >>> default_hooks = dict(
        ...     checkpoint=dict(
        ...         type='mmamp.CheckpointHook', interval=1000,
        ...         by_epoch=False, max_keep_ckpts=1))
    """

    by_epoch: bool
    filename_tmpl: str
    file_backend: Any
    file_client_args: dict | None
    backend_args: dict | None
    out_dir: str | None

    def before_train(self, runner: Any) -> None:
        """Prepare the folder that checkpoints go to."""
        if self.file_client_args is None and self.backend_args is None:
            backend = get_file_backend(str(self.out_dir or runner.work_dir))
            if type(backend) is LocalBackend:
                self.backend_args = dict(backend='mmamp.atomic')
        super().before_train(runner)
        if is_main_process() and self._is_atomic():
            remove_leftovers(str(self.out_dir))
        self._of_ranks: list[tuple[dict, dict]] | None = None

    def save_now(self, runner: Any) -> str:
        """Save at this very iteration, whatever the interval is.

        Args:
            runner (Runner): The runner, in ``after_train_iter``.

        Returns:
            str: Path of the checkpoint.
        """
        iteration = runner.iter + 1
        by_epoch, template = self.by_epoch, self.filename_tmpl
        if by_epoch:
            # An epoch that is not over gives no name.
            self.by_epoch, self.filename_tmpl = False, 'iter_{}.pth'
        try:
            self._save_checkpoint_with_step(
                runner,
                iteration,
                meta=dict(epoch=runner.epoch, iter=iteration),
            )
        finally:
            self.by_epoch, self.filename_tmpl = by_epoch, template
        return str(self.last_ckpt)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Add what each rank has of its own."""
        if self._of_ranks is not None:
            rngs, windows = zip(*self._of_ranks, strict=True)
            checkpoint['rng_states'] = list(rngs)
            if len(windows) > 1 and any(windows):
                checkpoint['rank_windows'] = list(windows)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Give this rank its own window, not that of the rank that saved."""
        windows = checkpoint.pop('rank_windows', None)
        if windows is None or len(windows) != get_world_size():
            return
        states = checkpoint.get('optimizer', {})
        for name, window in windows[get_rank()].items():
            (states[name] if name else states)['window'] = window

    def _save_checkpoint_with_step(
        self, runner: Any, step: int, meta: dict
    ) -> None:
        # Here all ranks meet; what MMEngine does next, one rank does alone.
        mine = rng_state(), _windows(runner)
        self._of_ranks = all_gather_object(mine)
        with self._removing_last():
            super()._save_checkpoint_with_step(runner, step, meta)
            if is_main_process() and self._is_atomic():
                # MMEngine has just written it, but not atomically.
                file = Path(runner.work_dir, 'last_checkpoint')
                self.file_backend.put_text(str(self.last_ckpt), file)
        self._of_ranks = None

    def _save_best_checkpoint(self, runner: Any, metrics: dict) -> None:
        with self._removing_last():
            super()._save_best_checkpoint(runner, metrics)

    def _is_atomic(self) -> bool:
        return isinstance(self.file_backend, AtomicLocalBackend)

    @contextmanager
    def _removing_last(self) -> Iterator[None]:
        """Have MMEngine remove old checkpoints after the new one is there."""
        if isinstance(self.file_backend, _RemovingLast):
            yield  # saving the best one also saves the last one again
            return
        backend = self.file_backend
        self.file_backend = _RemovingLast(backend)
        try:
            yield
            self.file_backend.remove_now()
        finally:
            self.file_backend = backend


def _windows(runner: Any) -> dict[str, Any]:
    """The accumulation windows that optimizers are inside of, by name."""
    if get_world_size() == 1:
        return {}  # the optimizers' own states hold them
    windows = {
        name: wrapper.window_state()
        for name, wrapper in named_wrappers(runner)
        if hasattr(wrapper, 'window_state')
    }
    return {k: window for k, window in windows.items() if window is not None}


class _RemovingLast:
    """A file backend that puts off what it is told to remove."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._removals: list[tuple[Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: Any) -> None:
        self._removals.append((self._backend.remove, path))

    def rmtree(self, path: Any) -> None:
        self._removals.append((self._backend.rmtree, path))

    def remove_now(self) -> None:
        for remove, path in self._removals:
            remove(path)
