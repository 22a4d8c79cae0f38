"""mmamp under MMEngine's Runner, as its launcher starts it."""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmamp.config.amp import enable_amp
from mmamp.launcher.edits import TRIAL, edit

from .models import EMPTY, MODELS_BY_NAME, OPTIMIZER
from .turns import Turns, TurnsHook
from .variants import Variant


def train(variant: Variant, turns: Turns, work_dir: str) -> None:
    """Train a variant with mmamp.

    Args:
        variant (Variant): What to train; a dtype other than float32 is as
            with ``--amp --amp-dtype``.
        turns (Turns): When.
        work_dir (str): Where logs go.
    """
    cfg = config_of(variant, work_dir)
    run(Runner.from_cfg(cfg), variant, turns)


def config_of(
    variant: Variant,
    work_dir: str,
    change: Callable[[Config], None] | None = None,
) -> Config:
    """Return the config of a variant, as mmamp's launcher completes it.

    Args:
        variant (Variant): What is trained.
        work_dir (str): Where logs go.
        change (Callable, optional): Changes it before it is completed.
            Defaults to None.
    """
    cfg = Config(
        dict(
            default_scope='mmamp',
            optim_wrapper=dict(
                constructor='OptimWrapperConstructor',
                generator=dict(optimizer=OPTIMIZER),
                discriminator=dict(optimizer=OPTIMIZER),
            ),
            **common(variant, work_dir),
        )
    )
    if change is not None:
        change(cfg)
    if variant.dtype != 'float32':
        cfg = enable_amp(cfg, dtype=variant.dtype)
    edit(cfg, TRIAL, Namespace())
    return cfg


def common(variant: Variant, work_dir: str) -> dict[str, Any]:
    """Return the part of a config that has nothing to do with precision.

    Args:
        variant (Variant): What to train.
        work_dir (str): Where logs go.
    """
    model: dict[str, Any] = dict(type='mmamp.EmptyModel')
    channels, image_size = 1, 32
    if variant.model != EMPTY:
        benchmarked = MODELS_BY_NAME[variant.model]
        model = benchmarked.config(variant.memory_format)
        channels, image_size = benchmarked.channels, benchmarked.image_size
    sampler = 'DefaultSampler' if variant.dataset_size else 'InfiniteSampler'
    return dict(
        work_dir=work_dir,
        # Two runs in one second would share what MMEngine keeps by name.
        experiment_name=work_dir,
        model=model,
        train_dataloader=dict(
            batch_size=variant.batch_size,
            num_workers=0,
            sampler=dict(type=sampler, shuffle=True),
            collate_fn=dict(type='default_collate'),
            dataset=dict(
                type='mmamp.RandomImages',
                num=variant.dataset_size or 1024,
                channels=channels,
                image_size=image_size,
            ),
        ),
        train_cfg=dict(by_epoch=False, max_iters=10**9),
        default_hooks=dict(
            logger=dict(
                type='LoggerHook', interval=50, log_metric_by_epoch=False
            ),
            checkpoint=dict(
                type='CheckpointHook', interval=10**9, by_epoch=False
            ),
        ),
        log_processor=dict(by_epoch=False),
        env_cfg=dict(cudnn_benchmark=True),
    )


def run(runner: Runner, variant: Variant, turns: Turns) -> None:
    """Have a runner train in turns.

    Args:
        runner (Runner): The runner.
        variant (Variant): What it trains.
        turns (Turns): When.
    """
    runner.register_hook(TurnsHook(turns, variant.filled))
    runner.train()
