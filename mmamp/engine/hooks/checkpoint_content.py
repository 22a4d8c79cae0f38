"""What a checkpoint of a runner holds, and how it is saved."""

import os
import time
from contextlib import nullcontext
from typing import Any
from weakref import WeakKeyDictionary

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import FlexibleRunner, Runner
from mmengine.runner.checkpoint import weights_to_cpu
from mmengine.utils import apply_to, get_git_hash

from mmamp.checkpoint.atomic import AtomicLocalBackend
from mmamp.checkpoint.storage import write
from mmamp.compat.mmengine import DDPStrategy, SingleDeviceStrategy
from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import GathersState

from .runner_access import strategy_of
from .settled_model import evaluation_weights

_texts: WeakKeyDictionary[Config, tuple[str, str]] = WeakKeyDictionary()
"""Configs, before and after they were formatted, which takes 0.3 s each."""


def saves_by_itself(runner: Any) -> bool:
    """Tell whether a runner, or its strategy, has its own way of saving.

    Such as DeepSpeed's, which is a folder, or that of a user's class.

    Args:
        runner (Runner or FlexibleRunner): The runner.
    """
    method = getattr(runner.save_checkpoint, '__func__', None)
    if method not in (Runner.save_checkpoint, FlexibleRunner.save_checkpoint):
        return True
    strategy = strategy_of(runner)
    return not (
        strategy is None
        or isinstance(strategy, GathersState)
        or type(strategy).save_checkpoint
        in (SingleDeviceStrategy.save_checkpoint, DDPStrategy.save_checkpoint)
    )


def content_of(
    runner: Any,
    meta: dict[str, Any],
    save_optimizer: bool = True,
    save_param_scheduler: bool = True,
    on_cpu: bool = True,
    in_parts: bool = False,
) -> dict[str, Any] | None:
    """Return what MMEngine's runners save, after all hooks have seen it.

    Args:
        runner (Runner or FlexibleRunner): The runner, on all ranks.
        meta (dict): With ``epoch`` and ``iter``.
        save_optimizer (bool): Whether the optimizers' state is in it.
            Defaults to True.
        save_param_scheduler (bool): Whether that of the schedulers is.
            Defaults to True.
        on_cpu (bool): Whether tensors of an accelerator are copied to the
            CPU. Defaults to True.
        in_parts (bool): Whether each rank has what it has of sharded tensors,
            and nothing is gathered. Defaults to False.

    Returns:
        dict or None: Tensors that are not copied are those of training. On
        other ranks than the main one None; with ``in_parts`` the states of
        what is trained, which hooks do not see.
    """
    source: Any = strategy_of(runner) or _Own(runner, on_cpu)
    gathers = isinstance(source, GathersState)
    if not (is_main_process() or gathers or in_parts):
        return None
    with source.in_parts() if gathers and in_parts else nullcontext():
        content = dict(state_dict=source.model_state_dict())
        if save_optimizer:
            content['optimizer'] = _copied(source.optim_state_dict(), on_cpu)
    if not is_main_process():
        return content if in_parts else None
    if save_param_scheduler and runner.param_schedulers is not None:
        content['param_schedulers'] = source.scheduler_state_dict()
    content['message_hub'] = _copied(runner.message_hub.state_dict())
    content['meta'] = dict(
        meta,
        cfg=text_of(runner.cfg),
        seed=runner.seed,
        experiment_name=runner.experiment_name,
        time=time.strftime('%Y%m%d_%H%M%S'),
        mmengine_version=mmengine.__version__ + get_git_hash(),
    )
    dataset = runner.train_dataloader.dataset
    if hasattr(dataset, 'metainfo'):
        content['meta']['dataset_meta'] = dataset.metainfo
    runner.call_hook('before_save_checkpoint', checkpoint=content)
    return content


def save_this_iteration(runner: Any, name: str) -> str:
    """Save a checkpoint after this iteration, without a hook's bookkeeping.

    Args:
        runner (Runner): The runner, in ``after_train_iter``, on all ranks.
        name (str): Of the file in the work dir.

    Returns:
        str: Its path.
    """
    meta = dict(epoch=runner.epoch, iter=runner.iter + 1)
    path = os.path.join(runner.work_dir, name)
    with evaluation_weights(runner):
        if saves_by_itself(runner):
            runner.save_checkpoint(
                runner.work_dir, name, meta=meta, by_epoch=False
            )
        else:
            content = content_of(runner, meta)
            if content is not None:
                write(content, path, AtomicLocalBackend())
    return path


def name_last(runner: Any, path: str) -> None:
    """Have ``--resume`` go on from a checkpoint.

    Args:
        runner (Runner): Whose work dir is told.
        path (str): Of the checkpoint.
    """
    file = os.path.join(runner.work_dir, 'last_checkpoint')
    AtomicLocalBackend().put_text(path, file)


class _Own:
    """The states of a ``Runner``, asked for as those of a strategy."""

    def __init__(self, runner: Any, on_cpu: bool) -> None:
        self._runner, self._on_cpu = runner, on_cpu

    def model_state_dict(self) -> Any:
        state = unwrap(self._runner.model).state_dict()
        return weights_to_cpu(state) if self._on_cpu else state

    def optim_state_dict(self) -> Any:
        return self._runner.optim_wrapper.state_dict()

    def scheduler_state_dict(self) -> Any:
        schedulers = self._runner.param_schedulers
        if isinstance(schedulers, dict):
            return {
                name: [x.state_dict() for x in those]
                for name, those in schedulers.items()
            }
        return [x.state_dict() for x in schedulers]


def text_of(cfg: Config) -> str:
    """Return what MMEngine saves of a config, formatted once as it is.

    Args:
        cfg (Config): The config.
    """
    now = repr(cfg)
    kept = _texts.get(cfg)
    if kept is None or kept[0] != now:
        kept = _texts[cfg] = now, cfg.pretty_text
    return kept[1]


def _copied(value: Any, on_cpu: bool = True) -> Any:
    """Return copies of containers, their tensors on the CPU or as they are."""
    return apply_to(
        value, lambda x: on_cpu and hasattr(x, 'cpu'), lambda x: x.cpu()
    )
