"""A config as one trial runs it."""

from argparse import Namespace
from copy import deepcopy
from typing import Any

from mmengine.config import Config

from mmamp.config import enable_amp
from mmamp.config.amp import mixed_optimizers
from mmamp.config.hooks import type_name
from mmamp.launcher.edits import TRIAL, edit

QUIET = dict(type='mmengine.LoggerHook', interval=10**9)
LEFT_OUT = (
    'SampleHook',
    'OverflowHook',
    'PreemptionHook',
    'EarlyStoppingHook',
)
"""Hooks that would draw, end a run that goes wrong, or save it."""


def trial_config(
    cfg: Config,
    dtype: str,
    work_dir: str,
    rules: list[dict[str, Any]],
    iters: int,
) -> Config:
    """Make the config of a trial: in a dtype, and nothing beside training.

    With the hooks that ``tools/train.py`` adds; without validation,
    checkpoints and logs to elsewhere; with one seed and, whatever the sampler,
    the same data in the same order.

    Args:
        cfg (Config): The user's. It is not changed.
        dtype (str): ``'float32'``, ``'bfloat16'`` or ``'float16'``.
        work_dir (str): Where the trial may write.
        rules (list[dict]): Of a ``PrecisionHook``, which come before those of
            the config.
        iters (int): That it has to be long enough for.

    Returns:
        Config: Complete.

    Raises:
        ValueError: If the config cannot be put in mixed precision.
    """
    cfg = in_dtype(cfg, dtype)
    for key in ('max_iters', 'max_epochs'):
        if key in (cfg.get('train_cfg') or {}):
            # An epoch is an iteration at least.
            cfg.train_cfg[key] = max(cfg.train_cfg[key], iters)
    for mode in ('val', 'test'):
        for part in ('dataloader', 'evaluator', 'cfg'):
            cfg[f'{mode}_{part}'] = None
    cfg.work_dir = work_dir
    cfg.resume = False
    cfg.launcher = 'none'
    cfg.log_level = 'WARNING'
    edit(cfg, TRIAL, Namespace())
    cfg.default_hooks = dict(cfg.default_hooks, checkpoint=None, logger=QUIET)
    custom = [
        hook
        for hook in cfg.get('custom_hooks') or []
        if type_name(hook) not in LEFT_OUT
    ]
    if rules:
        custom = with_rules(custom, rules)
    cfg.custom_hooks = custom
    visualizer = dict(cfg.get('visualizer') or dict(type='Visualizer'))
    cfg.visualizer = dict(visualizer, vis_backends=None)
    seed = (cfg.get('randomness') or {}).get('seed')
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed or 0)
    return cfg


def in_dtype(cfg: Config, dtype: str) -> Config:
    """Copy a config, with every optimizer in a dtype.

    Args:
        cfg (Config): The config.
        dtype (str): ``'float32'`` switches mixed precision off.
    """
    if dtype != 'float32':
        return enable_amp(cfg, dtype=dtype)
    if not mixed_optimizers(cfg):
        return deepcopy(cfg)
    cfg = enable_amp(cfg)
    # Those that were in float32 before are among them now.
    keys = mixed_optimizers(cfg)
    cfg.merge_from_dict({f'{key}.dtype': 'float32' for key in keys})
    return cfg


def with_rules(
    hooks: list[Any], rules: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return custom hooks with rules before those that they have.

    Args:
        hooks (list): A config's ``custom_hooks``.
        rules (list[dict]): Of a ``PrecisionHook``.
    """
    own = [x for x in hooks if type_name(x) == 'PrecisionHook']
    kept = [dict(x) for x in hooks if type_name(x) != 'PrecisionHook']
    theirs = [rule for hook in own for rule in hook['rules']]
    hook = dict(type='mmamp.PrecisionHook', rules=[*rules, *theirs])
    return [*kept, hook]
