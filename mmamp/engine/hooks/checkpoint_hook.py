"""Checkpoints that survive a kill at any moment."""

import hashlib
import inspect
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.fileio import FileClient, LocalBackend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.logging import print_log

from mmamp.checkpoint.atomic import AtomicLocalBackend, remove_leftovers
from mmamp.checkpoint.files import AsyncFiles, Files
from mmamp.checkpoint.parts import (
    remove_leftover_parts,
    remove_parts,
    write_parts,
)
from mmamp.checkpoint.safe_load import read_checkpoint
from mmamp.checkpoint.storage import (
    PARTS,
    Storage,
    is_in_parts,
    is_remote,
    join,
    prefix_of,
    write,
)
from mmamp.compat.mmengine import is_resuming
from mmamp.compat.torch import CAN_SHARD
from mmamp.distributed.cpu_group import cpu_group
from mmamp.distributed.same_weights import (
    first_difference,
    held_in_copies,
    trained_by_all,
)
from mmamp.errors import PartedRanksError, UsageError
from mmamp.registry import HOOKS
from mmamp.utils.checks import check_bool, check_choice
from mmamp.utils.modules import params_of
from mmamp.utils.suggest import arguments_of, did_you_mean

from .checkpoint_content import content_of, name_last, saves_by_itself
from .runner_access import named_wrappers, strategy_of
from .settled_model import evaluation_weights, is_in_window, unify_models
from .states_of_ranks import gather_states, give_states

_ANEW = (
    'the schedules begin anew, from the learning rates that the optimizers '
    'have by then'
)


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's ``CheckpointHook``, safe against being killed.

    On a local disk a checkpoint is streamed to another name, flushed and
    renamed, and those that ``max_keep_ckpts`` (or a better score) makes
    superfluous are removed only then: with ``max_keep_ckpts=1`` too there is
    a whole checkpoint at every moment. The random-number states of all ranks
    are in it. ``out_dir`` may have the prefix of any file backend, such as
    ``s3://``.

    Where there are several ranks, a checksum tells before each checkpoint
    whether all have the same weights, and buffers become one over the ranks:
    the mean of BatchNorm's running statistics, the first rank's of others.

    With ``async_save`` training stands still while its state is copied, on
    the rank that writes: a second of those copies is in memory then, whose
    memory the next one uses again. Writing goes on beside training, in the
    same order, ``last_checkpoint`` and removals included. A checkpoint that is
    due while the one before is still being written waits for it, and so do
    preemption, Ctrl-C, an error and the end of training. What goes wrong ends
    the run before its next iteration. ``before_save_checkpoint`` of other
    hooks finds the model's and the optimizers' tensors on their device.

    With ``save_format='dcp'`` a checkpoint is a folder, ``iter_1000.dcp``, to
    which each rank writes what it has, by ``torch.distributed.checkpoint``:
    no rank gathers a sharded network, and the gradients of a window that is
    open go through none but their own. It is as safe against being killed, is
    resumed onto any number of ranks, and ``python tools/dcp_to_pth.py`` makes
    one file of it. The folder has to be on a file system that all machines
    share.

    Args:
        *args: Arguments of MMEngine's hook.
        async_save (bool): Whether training goes on while checkpoints are
            written. Defaults to False.
        save_format (str): ``'pth'``, a file of MMEngine's, or ``'dcp'``.
            Defaults to ``'pth'``.
        check_ranks (bool): Whether ranks with different weights end the run.
            Defaults to True.
        **kwargs: Arguments of MMEngine's hook.

    Raises:
        ValueError: If ``async_save`` or ``check_ranks`` is no bool, or there
            is no such ``save_format``.
        UsageError: If checkpoints of ``'dcp'`` go to a store, or are asked
            for beside ``async_save`` or what saves in a way of its own.
        StorageError: If a checkpoint cannot be written.
        PartedRanksError: If the ranks train different weights.

    Examples:
        >>> default_hooks = dict(
        ...     checkpoint=dict(
        ...         type='mmamp.CheckpointHook', interval=1000,
        ...         by_epoch=False, max_keep_ckpts=1, async_save=True))
    """

    by_epoch: bool
    filename_tmpl: str
    file_backend: Any = None
    file_client_args: dict[str, Any] | None
    backend_args: dict[str, Any] | None
    out_dir: Any
    last_ckpt: str | None
    max_keep_ckpts: int
    save_best: list[str] | None
    key_indicators: list[str]
    published_keys: list[str] | None
    args: dict[str, Any]
    _group: Any = None
    _saved: str | None = None
    _states: Mapping[str, Any] = {}
    _meta: Mapping[str, Any] = {}

    def __init__(
        self,
        *args: Any,
        async_save: bool = False,
        save_format: str = 'pth',
        check_ranks: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.check_ranks = check_bool('check_ranks', check_ranks)
        self.async_save = check_bool('async_save', async_save)
        self.save_format = check_choice(
            'save_format', save_format, ('pth', 'dcp')
        )
        self._files = Files()

    # ---- before anything is saved ------------------------------------------

    def before_train(self, runner: Any) -> None:
        """Prepare the folder that checkpoints go to, and what it keeps."""
        self.finish_writing()  # of a run before, which has raised
        self._files = Files()
        self._check_arguments(runner)
        if self.save_format == 'dcp':
            self._check_parts(runner)
        if self.file_backend is None:
            self._find_folder(runner)
        if self._group is None:
            # What is gathered need not go through the devices.
            self._group = cpu_group('CheckpointHook', runner.cfg)
        info = runner.message_hub.runtime_info
        # One that max_keep_ckpts does not know of.
        self._extra: str | None = info.get('extra_checkpoint')
        if self.save_best is not None:
            self._note_best(runner)
        if self.max_keep_ckpts > 0:
            kept = list(info.get('keep_ckpt_ids', []))
            self.keep_ckpt_ids = deque(kept[-self.max_keep_ckpts :])
            self._remove_steps(kept[: -self.max_keep_ckpts])
        if is_main_process():
            for folder in {self.out_dir, runner.work_dir}:
                if not is_remote(folder):
                    remove_leftovers(folder)
                    remove_leftover_parts(folder)
        self._files = self._files_of(runner)
        if (
            getattr(runner, 'param_schedulers', None)
            and not self.save_param_scheduler
        ):
            print_log(
                'CheckpointHook: save_param_scheduler=False: in a run that is '
                f'resumed {_ANEW}. Leave it out to have them go on',
                logger='current',
                level=logging.WARNING,
            )

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

    def _check_parts(self, runner: Any) -> None:
        """Refuse what a checkpoint in parts cannot do; name it as one."""
        if not self.filename_tmpl.endswith(PARTS):
            self.filename_tmpl = self._in_other_format(self.filename_tmpl)
        why = ''
        folder = str(self.out_dir or runner.work_dir)
        if not CAN_SHARD:
            why = f'it needs torch >= 2.7, and {torch.__version__} is there'
        elif is_remote(folder):
            why = f'{folder!r} is no folder that all machines share'
        elif self.file_client_args is not None:
            why = 'file_client_args are of a store of files'
        elif self.async_save:
            why = 'async_save=True writes files'
        elif saves_by_itself(runner):
            why = f'{_saver_of(runner)} writes in a way of its own'
        if why:
            raise UsageError(
                f"checkpoint: save_format='dcp' cannot be had: {why}. Leave "
                "that out, or take save_format='pth'"
            )

    def _files_of(self, runner: Any) -> Files:
        if not self.async_save:
            return Files()
        if saves_by_itself(runner):
            print_log(
                'async_save=True: training waits for its checkpoints all the '
                f'same, since {_saver_of(runner)} writes them in a way of its '
                'own',
                logger='current',
                level=logging.WARNING,
            )
            return Files()
        return AsyncFiles()

    def _find_folder(self, runner: Any) -> None:
        folder = str(self.out_dir or runner.work_dir)
        if self.file_client_args is not None:
            self.file_backend = FileClient.infer_client(
                self.file_client_args, folder
            )
        else:
            storage = Storage(prefix_of(folder), self.backend_args)
            self.file_backend = storage.backend(folder)
            if (
                self.backend_args is None
                and type(self.file_backend) is LocalBackend
            ):
                self.backend_args = dict(backend='mmamp.atomic')
                self.file_backend = AtomicLocalBackend()
        self._check_backend(folder)
        if folder != runner.work_dir:
            name = Path(runner.work_dir).name
            folder = str(self.file_backend.join_path(folder, name))
        self.out_dir = folder
        print_log(f'Checkpoints will be saved to {folder}.', logger='current')

    def _check_backend(self, folder: str) -> None:
        """Refuse now one that cannot do what it will be asked for.

        Of a backend MMEngine asks for no more than to read.
        """
        if self.save_format == 'dcp' and not isinstance(
            self.file_backend, LocalBackend
        ):
            raise UsageError(
                "checkpoint: save_format='dcp' writes to folders, not by "
                f'{type(self.file_backend).__name__}'
            )
        needed = ['put', 'join_path']
        if self.max_keep_ckpts > 0 or self.save_best:
            needed += ['isfile', 'isdir', 'remove']
        missing = [x for x in needed if not hasattr(self.file_backend, x)]
        if missing:
            raise UsageError(
                f'checkpoint: {type(self.file_backend).__name__}, the backend '
                f'of {folder!r}, has no {", no ".join(missing)}; put and '
                'join_path save checkpoints, and isfile, isdir and remove are '
                'for max_keep_ckpts and save_best'
            )

    # ---- what is written beside training ------------------------------------

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """End the run if a checkpoint could not be written meanwhile."""
        self._files.check()

    def after_train(self, runner: Any) -> None:
        """Wait for the last checkpoint, and publish what is asked for."""
        self._files.wait()
        super().after_train(runner)

    def after_run(self, runner: Any) -> None:
        """Wait for the last checkpoint, where training was broken off too."""
        self._files.wait()

    def finish_writing(self) -> None:
        """Wait for the last checkpoint of a run that another error ends."""
        with suppress(Exception):  # the log has it
            self._files.wait()

    # ---- one checkpoint -----------------------------------------------------

    def save_now(self, runner: Any) -> str:
        """Save at this very iteration, whatever the interval is.

        Args:
            runner (Runner): The runner, in ``after_train_iter``.

        Returns:
            str: Path of the checkpoint.
        """
        iteration = runner.iter + 1
        meta = dict(epoch=runner.epoch, iter=iteration)
        if self.by_epoch:
            self._save_extra(runner, iteration, meta)
        else:
            self._save_checkpoint_with_step(runner, iteration, meta)
        self._files.wait()
        return str(self.last_ckpt)

    def _save_extra(
        self, runner: Any, iteration: int, meta: dict[str, Any]
    ) -> None:
        """Save within an epoch, which gives no name and is not counted."""
        suffix = PARTS if self.save_format == 'dcp' else '.pth'
        extra = join(self.out_dir, f'iter_{iteration}{suffix}')
        runner.message_hub.update_info('extra_checkpoint', extra)
        with self._at_once(runner):
            self._save_last(runner, extra, meta, by_epoch=False)
            self._remove_extra()
        self._extra = extra

    def before_save_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Add what each rank has of its own."""
        checkpoint.update(self._states)
        # A FlexibleRunner puts its own into it, which after a validation is
        # that of the iteration, or epoch, that comes next.
        checkpoint['meta'].update(self._meta)

    def after_load_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Give this rank its own, not that of the rank that saved."""
        if not is_resuming(runner):
            return
        give_states(runner, checkpoint)
        if (
            getattr(runner, 'param_schedulers', None)
            and 'param_schedulers' not in checkpoint
        ):
            print_log(
                'The checkpoint has no state of the learning rate schedules '
                f'(save_param_scheduler=False): {_ANEW}',
                logger='current',
                level=logging.WARNING,
            )

    def _save_checkpoint_with_step(
        self, runner: Any, step: int, meta: dict[str, Any]
    ) -> None:
        """Save the one of a step, then remove those that are too many."""
        if self.max_keep_ckpts > 0 and step not in [*self.keep_ckpt_ids][-1:]:
            self.keep_ckpt_ids.append(step)
            # In it those are that go next: a kill may come before that.
            self._tell_kept(runner)
        with self._at_once(runner):
            self._save_last(runner, self._path(step), meta, self.by_epoch)
            if self.max_keep_ckpts > 0:
                while len(self.keep_ckpt_ids) > self.max_keep_ckpts:
                    self._remove_steps([self.keep_ckpt_ids.popleft()])
                self._tell_kept(runner)
            self._remove_extra()

    @contextmanager
    def _at_once(self, runner: Any) -> Iterator[None]:
        """Have what is saved inside be of one moment.

        Files may be copied as it ends: the weights are those of evaluation
        until then.
        """
        with evaluation_weights(runner), self._files.together():
            yield

    def _tell_kept(self, runner: Any) -> None:
        runner.message_hub.update_info(
            'keep_ckpt_ids', list(self.keep_ckpt_ids)
        )

    def _save_last(
        self, runner: Any, path: str, meta: dict[str, Any], by_epoch: bool
    ) -> None:
        """Save the one to go on from, and its name in the work dir."""
        self.last_ckpt = path
        runner.message_hub.update_info('last_ckpt', path)
        self._save(
            runner,
            path,
            meta,
            by_epoch=by_epoch,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            **self.args,
        )
        self._saved = path
        if is_main_process():
            self._files.then(name_last, runner, path)

    def _save(
        self,
        runner: Any,
        path: str,
        meta: dict[str, Any],
        by_epoch: bool,
        **kwargs: Any,
    ) -> None:
        """Save a file, by all ranks together."""
        if self.check_ranks and not saves_by_itself(runner):
            self._check_ranks(runner)
        unify_models(runner, averages_only=is_in_window(runner))
        in_parts = self.save_format == 'dcp'
        self._states = gather_states(runner, self._group, in_parts)
        self._meta = {key: meta[key] for key in ('epoch', 'iter')}
        with self._at_once(runner):
            if saves_by_itself(runner):
                runner.save_checkpoint(
                    self.out_dir,
                    Path(path).name,
                    self.file_client_args,
                    meta=meta,
                    by_epoch=by_epoch,
                    backend_args=self.backend_args,
                    **kwargs,
                )
            else:
                content = content_of(
                    runner,
                    meta,
                    on_cpu=not (self.async_save or in_parts),
                    in_parts=in_parts,
                    **kwargs,
                )
                if content is not None and in_parts:  # on all ranks
                    if not is_main_process():
                        content.update(self._states)
                    write_parts(content, path, self._group)
                elif content is not None:
                    self._files.write(content, path, self.file_backend)
        self._states = {}
        self._meta = {}

    def _check_ranks(self, runner: Any) -> None:
        """End a run whose ranks train different weights."""
        held = [
            param
            for _, wrapper in named_wrappers(runner)
            for param in params_of(wrapper.optimizer)
        ]
        params = trained_by_all(runner.model, held)
        parts, size = held_in_copies(runner.model, held)
        differ = first_difference(params, self._group)
        differ = differ or first_difference(parts, self._group, size)
        if differ is None:
            return
        name, number = differ
        raise PartedRanksError(
            f'the ranks train different weights: at iteration {runner.iter} '
            f'{name} is not the same on all {get_world_size()} ranks, the '
            f'first of {number} such parameters among '
            f'{len(params) + len(parts)}. Either '
            'nothing averages their gradients (DDP does not know what was '
            'frozen when training began; mmamp.AmpOptimWrapper averages that '
            'too), or something changes them by numbers that each rank has of '
            'its own. Nothing is saved; the last checkpoint of weights that '
            f'were the same: {self._saved or "none of this run"}. Where ranks '
            'shall differ, '
            'have DDP ignore those parameters, or give '
            'CheckpointHook(check_ranks=False)'
        )

    def _path(self, step: int) -> str:
        name = self.filename_tmpl.format(step)
        return str(self.file_backend.join_path(self.out_dir, name))

    # ---- those that are superfluous -----------------------------------------

    def _in_other_format(self, name: str) -> str:
        """Return a name as it is in a run of the other format."""
        if name.endswith(PARTS):
            return f'{name.removesuffix(PARTS)}.pth'
        return f'{name.removesuffix(".pth")}{PARTS}'

    def _remove_steps(self, steps: Iterable[int]) -> None:
        """Remove those of steps; of a run before, in the other format."""
        if is_main_process():
            paths = [self._path(step) for step in steps]
            self._files.then(self._remove_either, paths)

    def _remove_either(self, paths: list[str]) -> None:
        """Remove one of each; a file that was made of a folder stays."""
        for path in paths:
            is_there = is_remote(path) or Path(path).exists()
            self._remove_now(
                [path if is_there else self._in_other_format(path)]
            )

    def _remove(self, paths: Iterable[str]) -> None:
        if is_main_process():
            self._files.then(self._remove_now, list(paths))

    def _remove_now(self, paths: list[str]) -> None:
        for path in paths:
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif is_in_parts(path):
                remove_parts(path)
            elif self.file_backend.isdir(path):
                self.file_backend.rmtree(path)  # DeepSpeed's

    def _remove_extra(self) -> None:
        """Remove what save_now left, where only so many are to be kept."""
        extra = self._extra
        if extra and self.max_keep_ckpts > 0 and extra != self.last_ckpt:
            self._remove([extra])
            self._extra = None

    # ---- the best one -------------------------------------------------------

    def _save_best_checkpoint(
        self, runner: Any, metrics: dict[str, Any]
    ) -> None:
        """Save the best by each metric; see MMEngine's."""
        # There is no folder in a run that only validates.
        if not self.save_best or self.file_backend is None:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        for key in self.key_indicators:
            if key not in metrics:
                raise UsageError(
                    f'checkpoint: save_best={key!r} is none of the metrics, '
                    f'which are {", ".join(map(repr, metrics))}'
                )
        step = runner.epoch if self.by_epoch else runner.iter
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        info = runner.message_hub.runtime_info
        with self._at_once(runner):
            before = set()
            for key, rule in zip(self.key_indicators, self.rules, strict=True):
                score = metrics[key]
                name = self._name('best_score', key)
                best = info.get(name, self.init_value_map[rule])
                if score is None or not self.is_better_than[key](score, best):
                    continue
                before.add(info.get(self._name('best_ckpt', key)))
                runner.message_hub.update_info(name, score)
                path = self._save_best(runner, key, step, meta)
                self._files.then(
                    print_log,
                    f'The best checkpoint with {score:0.4f} {key} at {step} '
                    f'{"epoch" if self.by_epoch else "iter"} is saved to '
                    f'{path}.',
                    'current',
                )
            if before and self.last_ckpt is not None:
                # Once more, so that it knows of the best.
                self._save_checkpoint_with_step(runner, step, meta)
            keys = [self._name('best_ckpt', x) for x in self.key_indicators]
            self._remove(before - {info.get(key) for key in keys} - {None})

    def _save_best(
        self, runner: Any, key: str, step: int, meta: dict[str, Any]
    ) -> str:
        """Save the best by a metric; return its path."""
        name = self._best_name(key, self.filename_tmpl.format(step))
        path = join(self.out_dir, name)
        runner.message_hub.update_info(self._name('best_ckpt', key), path)
        self._note_best(runner)
        self._save(
            runner,
            path,
            meta,
            by_epoch=False,
            save_optimizer=False,
            save_param_scheduler=False,
        )
        return path

    def best(self, runner: Any) -> list[tuple[str, float, str]]:
        """Return what the best checkpoints are by.

        Args:
            runner (Runner): That trains, or has.

        Returns:
            list[tuple]: The metric, the score and the path of each.
        """
        if self.save_best is None:
            return []
        info = runner.message_hub.runtime_info
        found = [
            (key, info.get(self._name('best_score', key)), path)
            for key in self.key_indicators
            if (path := info.get(self._name('best_ckpt', key)))
        ]
        # One that a run before was saved by may have been another.
        return [x for x in found if self._best_name(x[0], '') in x[2]]

    def _note_best(self, runner: Any) -> None:
        """Note the paths of the best where MMEngine's hook publishes them."""
        info = runner.message_hub.runtime_info
        paths = {
            key: info.get(self._name('best_ckpt', key))
            for key in self.key_indicators
        }
        if len(paths) == 1:
            self.best_ckpt_path = next(iter(paths.values()))
        else:
            self.best_ckpt_path_dict = paths

    @staticmethod
    def _best_name(key: str, name: str) -> str:
        # Without what no name of a file may have.
        return f'best_{key}_{name}'.replace('/', '_')

    def _name(self, what: str, key: str) -> str:
        """Return the name that MMEngine has for it in the message hub."""
        return what if len(self.key_indicators) == 1 else f'{what}_{key}'

    def _publish_model(self, runner: Any, ckpt_path: str) -> None:
        """Save some keys of a checkpoint under another name."""
        if not is_main_process():
            return
        storage = Storage(prefix_of(ckpt_path), self.backend_args)
        published = set(self.published_keys or ())
        whole = read_checkpoint(ckpt_path, storage, keys=published)
        content = {k: v for k, v in whole.items() if k in published}
        with BytesIO() as buffer:
            torch.save(content, buffer)
            digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        stem = ckpt_path.removesuffix('.pth').removesuffix(PARTS)
        path = f'{stem}-{digest[:8]}.pth'
        write(content, path, self.file_backend)
        print_log(
            f'The checkpoint ({ckpt_path}) is published to {path}, without '
            f'{", ".join(whole.keys() - published)}',
            logger='current',
        )


def _saver_of(runner: Any) -> str:
    """Return the name of what saves by itself."""
    return type(strategy_of(runner) or runner).__name__
