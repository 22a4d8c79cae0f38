"""The optimizers of a 0.x config, read with the eyes of 0.x.

It knows nothing of the rules, so that it can tell where they are wrong.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from mmengine.registry import OPTIMIZERS
from torch import nn

from .old_schedule import old_momentum, old_schedule
from .settings import Run, Settings, dynamic, momentum_of

ADAM = dict(type='Adam', betas=(0.5, 0.999))
"""What SinGAN's code builds for each of its scales."""
BATCH_NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    nn.SyncBatchNorm,
)
"""What MMCV's constructor takes for a norm in ``paramwise_cfg``."""


def old_run(cfg: dict[str, Any], probes: dict[str, nn.Module]) -> Run:
    """Read what a 0.x config sets.

    Args:
        cfg (dict): The config, with its bases.
        probes (dict[str, nn.Module]): A stub for each of its networks.
    """
    run = Run()
    run.length, run.by_epoch = _length(cfg)
    for name, optimizer in old_optimizers(cfg).items():
        run.networks[name] = _settings(
            cfg, name, dict(optimizer), run, probes[name]
        )
    return run


def old_optimizers(cfg: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the optimizers, by network; a single one's name is empty."""
    found: dict[str, Any] | None = cfg.get('optimizers') or cfg.get(
        'optimizer'
    )
    if not found:
        return _of_train_cfg(cfg.get('train_cfg') or {})
    if all(isinstance(x, dict) for x in found.values()):
        return found
    return {'': found}


def _of_train_cfg(train_cfg: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the optimizers that a model makes itself of its settings."""
    if 'lr_g' in train_cfg:
        return {
            name: dict(ADAM, lr=train_cfg[f'lr_{name[0]}'])
            for name in ('generator', 'discriminator')
        }
    return train_cfg.get('optimizer_cfg') or {}


def _length(cfg: dict[str, Any]) -> tuple[int | None, bool]:
    runner = cfg.get('runner') or {}
    iters = cfg.get('total_iters') or runner.get('max_iters')
    if iters is not None:
        return iters, False
    epochs = cfg.get('total_epochs') or runner.get('max_epochs')
    return epochs, epochs is not None or _is_of_mmcv(cfg)


def _is_of_mmcv(cfg: dict[str, Any]) -> bool:
    """Tell whether MMCV's own hooks step, not the models of the GAN projects.

    MMGeneration and MMEditing ignore ``optimizer_config`` and ``fp16``.
    """
    return set(old_optimizers(cfg)) == {''} and not (
        'optimizers' in cfg or 'total_iters' in cfg
    )


def _settings(
    cfg: dict[str, Any],
    name: str,
    optimizer: dict[str, Any],
    run: Run,
    probe: nn.Module,
) -> Settings:
    paramwise = optimizer.pop('paramwise_cfg', None) or {}
    patterns = optimizer.pop('paramwise_options', None) or {}
    optimizer.pop('constructor', None)
    kind = optimizer.pop('type')
    options = _with_defaults(kind, optimizer)
    hook = (cfg.get('optimizer_config') or {}) if _is_of_mmcv(cfg) else {}
    lr_config = cfg.get('lr_config')
    if old_optimizers(cfg) == _of_train_cfg(cfg.get('train_cfg') or {}):
        lr_config = dict(policy='set by the model, scale by scale')
    accumulation, updates = _counts(cfg, name)
    counts = hook.get('cumulative_iters', hook.get('update_interval', 1))
    clip = hook.get('grad_clip')
    return Settings(
        optimizer=kind,
        options=options,
        parameters={
            key: _of_patterns(key, options, patterns)
            if patterns
            else _of_parameter(key, parent, options, paramwise)
            for key, parent in parameters(probe)
        },
        accumulation=accumulation * counts,
        updates=updates / counts,
        clip=dict(dict(norm_type=2), **clip) if clip else None,
        scale=_scale(cfg),
        schedule=old_schedule(lr_config, options.get('lr', 0.0), run),
        momentum=old_momentum(
            cfg.get('momentum_config'), momentum_of(options), run
        ),
    )


def parameters(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return names of parameters, and the modules that they belong to."""
    return [
        (f'{name}.{key}', module)
        for name, module in network.named_modules()
        for key, _ in module.named_parameters(recurse=False)
    ]


def _with_defaults(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """Add the options that the optimizer's class has by itself."""
    cls = OPTIMIZERS.get(kind)
    if cls is None:
        return options
    if isinstance(betas := options.get('betas'), (list, tuple)):
        # Of integers too, before PyTorch began to refuse them.
        options = dict(options, betas=tuple(map(float, betas)))
    group = cls([nn.Parameter(torch.zeros(1))], **options).param_groups[0]
    return {key: value for key, value in group.items() if key != 'params'}


def _of_parameter(
    name: str,
    parent: nn.Module,
    options: dict[str, Any],
    paramwise: dict[str, Any],
) -> tuple[Any, Any]:
    """Return learning rate and weight decay as set by MMCV's constructor."""
    lr, decay = options.get('lr'), options.get('weight_decay')
    custom = paramwise.get('custom_keys') or {}
    for key in sorted(sorted(custom), key=len, reverse=True):
        if key in name:
            mults = (
                custom[key].get('lr_mult', 1),
                custom[key].get('decay_mult', 1),
            )
            return _times(lr, mults[0]), _times(decay, mults[1])
    is_norm = isinstance(parent, BATCH_NORMS)
    is_bias = name.endswith('.bias')
    if is_bias and not is_norm:
        lr = _times(lr, paramwise.get('bias_lr_mult', 1))
    if is_norm:
        decay = _times(decay, paramwise.get('norm_decay_mult', 1))
    elif is_bias:
        decay = _times(decay, paramwise.get('bias_decay_mult', 1))
    return lr, decay


def _of_patterns(
    name: str, options: dict[str, Any], patterns: dict[str, Any]
) -> tuple[Any, Any]:
    """Return learning rate and weight decay as set by MMSelfSup's."""
    found = {key: options.get(key) for key in ('lr', 'weight_decay')}
    for pattern, settings in patterns.items():
        if not re.search(pattern, name):
            continue
        for key in found:
            found[key] = settings.get(key, found[key])
            if f'{key}_mult' in settings:
                found[key] = _times(options.get(key), settings[f'{key}_mult'])
    return found['lr'], found['weight_decay']


def _times(value: Any, mult: float) -> Any:
    return None if value is None else value * mult


def _scale(cfg: dict[str, Any]) -> float | dict[str, Any] | None:
    runner = cfg.get('runner') or {}
    if runner.get('type') == 'DynamicIterBasedRunner':
        if (apex := cfg.get('apex_amp')) is not None:
            loss_scale = apex.get('init_args', {}).get('loss_scale', 'dynamic')
            return _of_loss_scale(loss_scale)
        scaler = runner.get('fp16_loss_scaler')
        return None if scaler is None else dynamic(scaler)
    if not _is_of_mmcv(cfg):
        return None
    hook = cfg.get('optimizer_config') or {}
    if hook.get('use_fp16') or _is_of_apex(runner, hook):
        return dynamic({})
    fp16 = hook if 'Fp16' in hook.get('type', '') else cfg.get('fp16')
    if fp16 is None or fp16 is False:
        return None
    return _of_loss_scale(fp16.get('loss_scale', 512.0))


def _is_of_apex(runner: dict[str, Any], hook: dict[str, Any]) -> bool:
    """Tell whether a runner is the one that saves the state of Apex."""
    is_amp = str(runner.get('type')).endswith('RunnerAmp')
    return is_amp and hook.get('use_fp16') is not False


def _of_loss_scale(given: Any) -> float | dict[str, Any]:
    if isinstance(given, dict):
        return dynamic(given)
    return dynamic({}) if given == 'dynamic' else float(given)


def _counts(cfg: dict[str, Any], name: str) -> tuple[int, Fraction]:
    """Count the micro-batches of an update and the updates an iteration."""
    model = str((cfg.get('model') or {}).get('type'))
    train_cfg = cfg.get('train_cfg') or {}
    is_generator, is_discriminator = role(name)
    if not (is_generator or is_discriminator):
        return 1, Fraction(1)
    if model == 'BasiccGAN':
        batches = train_cfg.get('batch_accumulation_steps', 1)
        if is_discriminator:
            return batches, Fraction(1, batches)
        steps = train_cfg.get('disc_steps', 1)
        return batches, Fraction(train_cfg.get('gen_steps', 1), steps)
    for kind, updates in INNER_LOOPS.items():
        if model.startswith(kind):
            return 1, Fraction(updates(train_cfg, is_generator))
    return 1, alternating(train_cfg, is_generator)


INNER_LOOPS: dict[str, Callable[[dict[str, Any], bool], int]] = {
    'SinGAN': lambda cfg, is_generator: cfg.get(
        'generator_steps' if is_generator else 'disc_steps', 1
    ),
    'PESinGAN': lambda cfg, is_generator: cfg.get(
        'generator_steps' if is_generator else 'disc_steps', 1
    ),
    'TTSR': lambda cfg, is_generator: (
        1 if is_generator else cfg.get('disc_steps', 1)
    ),
    'DIC': lambda cfg, is_generator: (
        1 if is_generator else cfg.get('disc_steps', 1)
    ),
}
"""Models that update a network several times in one iteration."""


def alternating(train_cfg: dict[str, Any], is_generator: bool) -> Fraction:
    """Count the updates in an iteration if the turns alternate."""
    steps = train_cfg.get('disc_steps', train_cfg.get('disc_step', 1))
    if is_generator:
        return Fraction(1, max(steps, 1))
    return Fraction(min(steps, 1))


def role(name: str) -> tuple[bool, bool]:
    """Tell whether a network generates, and whether it discriminates."""
    return name.startswith('gen'), name.startswith('disc')
