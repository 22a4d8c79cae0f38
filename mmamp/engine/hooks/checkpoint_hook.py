"""Checkpoints that survive a kill at any moment."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import (
    all_gather_object,
    get_rank,
    get_world_size,
    is_main_process,
)
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook

from mmamp.checkpoint.atomic import (
    AtomicLocalBackend,
    remove_leftovers,
    replace_durably,
    temporary_name,
)
from mmamp.checkpoint.keys import MODEL_STATES, RANK_STATES, RNG_STATES, WINDOW
from mmamp.checkpoint.primitives import to_primitives
from mmamp.compat.mmengine import SingleDeviceStrategy, is_resuming
from mmamp.errors import UsageError
from mmamp.registry import HOOKS
from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import RankState
from mmamp.utils.suggest import arguments_of, did_you_mean

from .runner_access import named_wrappers, strategy_of, training_rng_state


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
    file_client_args: dict[str, Any] | None
    backend_args: dict[str, Any] | None
    out_dir: str | None
    max_keep_ckpts: int
    save_best: list[Any] | None
    key_indicators: list[Any]
    args: dict[str, Any]

    def before_train(self, runner: Any) -> None:
        """Prepare the folder that checkpoints go to."""
        if self.file_client_args is None and self.backend_args is None:
            backend = get_file_backend(str(self.out_dir or runner.work_dir))
            if type(backend) is LocalBackend:
                self.backend_args = dict(backend='mmamp.atomic')
        self._check_arguments(runner)
        super().before_train(runner)
        if is_main_process() and self._is_atomic():
            remove_leftovers(str(self.out_dir))
        self._of_ranks: (
            list[tuple[dict[str, Any], dict[str, Any], Any]] | None
        ) = None
        self._meta: dict[str, int] = {}
        # One that max_keep_ckpts does not know of.
        self._extra = runner.message_hub.get_info('extra_checkpoint')

    def _check_arguments(self, runner: Any) -> None:
        """Refuse now what would end the run at its first checkpoint.

        MMEngine's hook passes on what it does not know.
        """
        save = inspect.signature(runner.save_checkpoint).parameters
        if any(p.kind is p.VAR_KEYWORD for p in save.values()):
            return
        passed_on = save.keys() - {'filename', 'meta'}
        for key in self.args:
            if key not in passed_on:
                hook = arguments_of(type(self))
                valid = [*hook, *sorted(passed_on - set(hook))]
                raise UsageError(
                    f'checkpoint: {type(self).__name__} has no argument '
                    f'{key!r}; it takes {", ".join(valid)}.'
                    f'{did_you_mean(key, valid)}'
                )

    def save_now(self, runner: Any) -> str:
        """Save at this very iteration, whatever the interval is.

        Args:
            runner (Runner): The runner, in ``after_train_iter``.

        Returns:
            str: Path of the checkpoint.
        """
        iteration = runner.iter + 1
        meta = dict(epoch=runner.epoch, iter=iteration)
        if not self.by_epoch:
            self._save_checkpoint_with_step(runner, iteration, meta)
            return str(self.last_ckpt)
        # An epoch that is not over gives no name, and is not counted.
        kept = self.by_epoch, self.filename_tmpl, self.max_keep_ckpts
        self.by_epoch, self.filename_tmpl = False, 'iter_{}.pth'
        self.max_keep_ckpts = -1
        name = self.filename_tmpl.format(iteration)
        extra = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('extra_checkpoint', extra)
        try:
            self._save_checkpoint_with_step(runner, iteration, meta)
        finally:
            self.by_epoch, self.filename_tmpl, self.max_keep_ckpts = kept
        self._remove_extra(runner)
        self._extra = extra
        return str(self.last_ckpt)

    def before_save_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Add what each rank has of its own."""
        # A FlexibleRunner puts its own into it, which after a validation is
        # that of the iteration, or epoch, that comes next.
        checkpoint['meta'].update(self._meta)
        if self._of_ranks is not None:
            rngs, optimizers, models = zip(*self._of_ranks, strict=True)
            checkpoint[RNG_STATES] = list(rngs)
            if any(models):
                checkpoint[MODEL_STATES] = list(models)
            if len(optimizers) > 1:
                checkpoint[RANK_STATES] = list(optimizers)

    def after_load_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Give this rank its own, not that of the rank that saved."""
        models = checkpoint.pop(MODEL_STATES, None)
        if models is not None and is_resuming(runner):
            model: Any = unwrap(runner.model)
            model.load_rank_state(models)
        ranks = checkpoint.pop(RANK_STATES, None)
        if ranks is None or not is_resuming(runner):
            return
        states = checkpoint.get('optimizer', {})
        for name, wrapper in named_wrappers(runner):
            if name not in ranks[0]:
                continue
            # FSDP2 deals out what it takes for the gradient of all.
            is_own = len(ranks) == get_world_size() and not getattr(
                wrapper, 'is_sharded', False
            )
            mine = (
                ranks[get_rank()][name]
                if is_own
                else _shared([rank[name] for rank in ranks])
            )
            (states[name] if name else states).update(mine)

    def _save_checkpoint_with_step(
        self, runner: Any, step: int, meta: dict[str, Any]
    ) -> None:
        self._gather_rank_states(runner)
        with self._flexible(runner), self._removing_last():
            super()._save_checkpoint_with_step(runner, step, meta)
            if is_main_process() and self._is_atomic():
                # MMEngine has just written it, but not atomically.
                file = Path(runner.work_dir, 'last_checkpoint')
                self.file_backend.put_text(str(self.last_ckpt), file)
            self._remove_extra(runner)
        self._of_ranks = None

    def _gather_rank_states(self, runner: Any) -> None:
        """Gather what each rank has of its own.

        What MMEngine does next, one rank does alone.
        """
        mine = (
            training_rng_state(runner),
            _of_optimizers(runner),
            _of_model(runner),
        )
        self._of_ranks = all_gather_object(mine)

    def _remove_extra(self, runner: Any) -> None:
        """Remove what save_now left, where only so many are to be kept."""
        extra = self._extra
        if extra and self.max_keep_ckpts > 0 and extra != self.last_ckpt:
            if is_main_process() and self.file_backend.isfile(extra):
                self.file_backend.remove(extra)
            self._extra = None

    def _save_best_checkpoint(
        self, runner: Any, metrics: dict[str, Any]
    ) -> None:
        if not self.save_best:
            return
        for key in self.key_indicators:
            if key != 'auto' and key not in metrics:
                raise UsageError(
                    f'checkpoint: save_best={key!r} is none of the metrics, '
                    f'which are {", ".join(map(repr, metrics))}'
                )
        self._gather_rank_states(runner)
        with self._flexible(runner), self._removing_last():
            super()._save_best_checkpoint(runner, metrics)
        self._of_ranks = None

    def _is_atomic(self) -> bool:
        backend = self.file_backend
        if isinstance(backend, _RemovingLast):
            backend = backend.backend
        return isinstance(backend, AtomicLocalBackend)

    @contextmanager
    def _flexible(self, runner: Any) -> Iterator[None]:
        """Have a FlexibleRunner save as a Runner does.

        It heeds neither the ``meta`` nor the backend that it is given.
        """
        strategy = strategy_of(runner)
        if strategy is None or 'save_checkpoint' in vars(runner):
            yield
            return
        original = runner.save_checkpoint
        # DeepSpeed's and its like are folders of their own making.
        is_atomic = self._is_atomic() and isinstance(
            strategy, SingleDeviceStrategy
        )

        def save(
            out_dir: str,
            filename: str,
            *args: Any,
            meta: dict[str, Any],
            **kwargs: Any,
        ) -> None:
            self._meta = {key: meta[key] for key in ('epoch', 'iter')}
            name = temporary_name(filename) if is_atomic else filename
            original(out_dir, name, *args, meta=meta, **kwargs)
            self._meta = {}
            if is_atomic and is_main_process():
                replace_durably(Path(out_dir, name), Path(out_dir, filename))

        runner.save_checkpoint = save
        try:
            yield
        finally:
            del runner.save_checkpoint

    @contextmanager
    def _removing_last(self) -> Iterator[None]:
        """Have MMEngine remove old checkpoints after the new one is there."""
        # There is none in a run that only validates.
        backend = getattr(self, 'file_backend', None)
        if backend is None or isinstance(backend, _RemovingLast):
            yield  # saving the best one also saves the last one again
            return
        self.file_backend = _RemovingLast(backend)
        try:
            yield
            self.file_backend.remove_now()
        finally:
            self.file_backend = backend


def _of_optimizers(runner: Any) -> dict[str, Any]:
    """Return what each optimizer wrapper has on this rank alone, by name."""
    if get_world_size() == 1:
        return {}  # the optimizers' own states hold it
    return {
        name: wrapper.rank_state()
        for name, wrapper in named_wrappers(runner)
        if isinstance(wrapper, RankState)
    }


def _of_model(runner: Any) -> Any:
    """Return what the model has on this rank alone, if it says so."""
    model = unwrap(runner.model)
    return (
        to_primitives(model.rank_state())
        if isinstance(model, RankState)
        else None
    )


def _shared(of_ranks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what another number of ranks goes on with.

    Each with the mean of the gradients: their own mean, which is what they
    step with, comes to the same.
    """
    state = dict(of_ranks[0])
    if WINDOW in state:
        grads = zip(*(r[WINDOW]['grads'] for r in of_ranks), strict=True)
        state[WINDOW] = dict(
            state[WINDOW],
            grads=[_mean_of(given) for given in grads],
        )
    return state


def _mean_of(grads: tuple[torch.Tensor | None, ...]) -> torch.Tensor | None:
    """Where a rank has none, it is zero, as it is to DDP."""
    present = [grad for grad in grads if grad is not None]
    if not present:
        return None
    return torch.stack(present).sum(0) / len(grads)


class _RemovingLast:
    """A file backend that puts off what it is told to remove."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self._removals: list[tuple[Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: Any) -> None:
        self._removals.append((self.backend.remove, path))

    def rmtree(self, path: Any) -> None:
        self._removals.append((self.backend.rmtree, path))

    def remove_now(self) -> None:
        for remove, path in self._removals:
            remove(path)
