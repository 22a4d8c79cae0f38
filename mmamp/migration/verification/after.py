"""The optimizers of a 1.x config, built as a run would build them."""

import copy
import warnings
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import OPTIMIZERS, PARAM_SCHEDULERS
from torch import nn

from .before import alternating, parameters, role
from .settings import (
    CONSTANT,
    EPOCH,
    Run,
    Schedule,
    Settings,
    dynamic,
    momentum_of,
)

Rates = dict[str, dict[int, tuple[float, float]]]
"""Learning rate and momentum at iterations, by what leads to them."""


def new_run(
    cfg: dict[str, Any],
    model: nn.Module,
    turns: dict[str, list[int]],
    rates: Rates,
) -> Run:
    """Build the optimizers of a 1.x config, and read what it sets.

    Args:
        cfg (dict): The config, with its bases.
        model (nn.Module): A stub with the networks.
        turns (dict[str, list[int]]): Iterations at which a network's learning
            rate is asked for.
        rates (dict[str, dict[int, tuple]]): What is known of schedules, to
            which those of this config are added.
    """
    run = Run()
    run.length, run.by_epoch = _length(cfg.get('train_cfg') or {})
    config = cfg['optim_wrapper']
    for entry in (config, *config.values()):
        if isinstance(entry, dict) and 'optimizer' in entry:
            _check_type(entry['optimizer'])
    built = build_optim_wrapper(model, copy.deepcopy(config))
    if isinstance(built, OptimWrapperDict):
        wrappers = dict(built.items())
        entries = {name: config[name] for name in wrappers}
    else:
        # One over the whole model is as good as one over its only network.
        name = next(iter(turns)) if len(turns) == 1 else ''
        wrappers, entries = {name: built}, {name: config}
    for name, wrapper in wrappers.items():
        settings = _settings(
            wrapper, entries[name], getattr(model, name, model)
        )
        settings.updates = _updates(cfg, name, entries)
        scheduler = cfg.get('param_scheduler')
        if isinstance(scheduler, dict) and 'type' not in scheduler:
            scheduler = scheduler[name]
        settings.schedule, settings.momentum = _schedules(
            scheduler, wrapper, run, turns.get(name, []), rates
        )
        run.networks[name] = settings
    return run


def _check_type(optimizer: dict[str, Any]) -> None:
    """Refuse an unknown type: MMEngine would say that None is no callable."""
    kind = optimizer.get('type')
    if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
        raise ValueError(
            f'there is no optimizer {kind!r}; if it is of another project, '
            'name that in custom_imports'
        )


def _length(train_cfg: dict[str, Any]) -> tuple[int | None, bool]:
    if (iters := train_cfg.get('max_iters')) is not None:
        return iters, False
    epochs = train_cfg.get('max_epochs')
    return epochs, bool(train_cfg.get('by_epoch', epochs is not None))


def _settings(
    wrapper: OptimWrapper, entry: dict[str, Any], network: nn.Module
) -> Settings:
    groups = wrapper.optimizer.param_groups
    owners = {id(p): group for group in groups for p in group['params']}
    found = {}
    for key, module in parameters(network):
        group = owners.get(id(getattr(module, key.rpartition('.')[2])), {})
        found[key] = group.get('lr'), group.get('weight_decay')
    clip = getattr(wrapper, 'clip_grad_kwargs', None)
    if clip is not None:
        is_norm = (entry['clip_grad'].get('type') or 'norm') == 'norm'
        clip = {**(dict(norm_type=2) if is_norm else {}), **clip}
    return Settings(
        optimizer=type(wrapper.optimizer).__name__,
        # Each parameter's group may differ; these are what they begin with.
        options=dict(wrapper.optimizer.defaults),
        parameters=found,
        accumulation=entry.get('accumulative_counts', 1),
        updates=Fraction(1),
        clip=clip,
        scale=_scale(entry),
        schedule=Schedule('', None),
        momentum=Schedule('', None),
    )


def _scale(entry: dict[str, Any]) -> float | dict[str, Any] | None:
    if not str(entry.get('type', '')).endswith('AmpOptimWrapper'):
        return None
    if entry.get('dtype') in ('bfloat16', 'float32'):
        return None
    scale = entry.get('loss_scale', 'dynamic')
    if isinstance(scale, dict):
        return dynamic(scale)
    return dynamic({}) if scale == 'dynamic' else float(scale)


def _updates(
    cfg: dict[str, Any], name: str, entries: dict[str, Any]
) -> Fraction:
    """Count the updates of a network in an iteration."""
    counts: dict[str, int] = {
        k: x.get('accumulative_counts', 1) for k, x in entries.items()
    }
    model = cfg.get('model') or {}
    is_generator, is_discriminator = role(name)
    if not (is_generator or is_discriminator):
        return Fraction(1, counts[name])
    steps = model.get('discriminator_steps')
    if steps is None and 'generator_steps' not in model:
        # Models of MMagic's that are no BaseGAN.
        train_cfg = model.get('train_cfg') or {}
        repeat: int = 1 if is_generator else train_cfg.get('disc_repeat', 1)
        return alternating(train_cfg, is_generator) * repeat / counts[name]
    if is_discriminator:
        return Fraction(1, counts[name])
    # The generator's turn ends a cycle of the discriminator's updates.
    others = [n for k, n in counts.items() if role(k)[1]]
    cycle = (steps or 1) * max(others, default=1)
    return Fraction(model.get('generator_steps', 1), cycle)


def _schedules(
    config: Any,
    wrapper: OptimWrapper,
    run: Run,
    turns: Iterable[int],
    rates: Rates,
) -> tuple[Schedule, Schedule]:
    """Run the schedulers; look at learning rate and momentum on the way."""
    configs = config if isinstance(config, (list, tuple)) else [config]
    configs = [x for x in configs if x]
    known = [x for x in configs if PARAM_SCHEDULERS.get(x['type'])]
    others = [x['type'] for x in configs if x not in known]
    before = _values(_main_group(wrapper))
    with warnings.catch_warnings():
        # Nobody trains: no step comes before that of a scheduler.
        warnings.simplefilter('ignore')
        schedulers = [_build(x, wrapper, run) for x in known]
        key = repr((configs, run.length, run.by_epoch, before, turns))
        if key not in rates:
            foreseen = [x for x in schedulers if not _is_of_metric(x)]
            rates[key] = _simulate(foreseen, wrapper, set(turns))
    lr, momentum = (
        _followed(
            [x for x in schedulers if x.param_name == name],
            [x for x in others if x.endswith('Momentum') == (k == 1)],
            {i: values[k] for i, values in rates[key].items()},
            before[k],
        )
        for k, name in enumerate(('lr', 'momentum'))
    )
    return lr, momentum


def _followed(
    schedulers: list[Any],
    others: list[str],
    seen: dict[int, float],
    begin: float,
) -> Schedule:
    """Return what schedulers of one parameter do to it.

    Args:
        schedulers (list): That have been run.
        others (list[str]): Types that are of a project which is not here.
        seen (dict[int, float]): Values at iterations.
        begin (float): The value before there were schedulers.
    """
    if not schedulers and not others:
        return Schedule(CONSTANT, lambda i: begin)
    name = ', '.join([*(type(x).__name__ for x in schedulers), *others])
    if others or any(map(_is_of_metric, schedulers)):
        return Schedule(name, None)
    return Schedule(name, seen.__getitem__)


def _is_of_metric(scheduler: Any) -> bool:
    """Tell whether a scheduler goes by what a validation finds."""
    return 'Reduce' in type(scheduler).__name__


def _values(group: dict[str, Any]) -> tuple[float, float]:
    """Return learning rate and momentum of a parameter group."""
    return group['lr'], momentum_of(group)


def _main_group(wrapper: OptimWrapper) -> dict[str, Any]:
    """Return a parameter group without a factor, if there is one."""
    groups, lr = (
        wrapper.optimizer.param_groups,
        wrapper.optimizer.defaults['lr'],
    )
    lrs = [x.get('initial_lr', x['lr']) for x in groups]
    main: dict[str, Any] = groups[lrs.index(lr) if lr in lrs else 0]
    return main


def _build(config: dict[str, Any], wrapper: OptimWrapper, run: Run) -> Any:
    config = dict(copy.deepcopy(config))
    is_of_epochs = config.get('by_epoch', True)
    if run.length is not None:
        length = run.length if is_of_epochs else run.iterations
        config.setdefault('end', length)
    defaults = dict(optimizer=wrapper, epoch_length=EPOCH)
    return PARAM_SCHEDULERS.build(config, default_args=defaults)


def _simulate(
    schedulers: list[Any], wrapper: OptimWrapper, turns: set[int]
) -> dict[int, tuple[float, float]]:
    group = _main_group(wrapper)
    seen = {}
    for i in range(max(turns, default=-1) + 1):
        if i in turns:
            seen[i] = _values(group)
        for scheduler in schedulers:
            if scheduler.by_epoch:
                if (i + 1) % EPOCH == 0:
                    scheduler.step()
            elif i < scheduler.end:
                scheduler.step()
    return seen
