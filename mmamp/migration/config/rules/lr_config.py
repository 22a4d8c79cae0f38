"""``lr_config`` and ``momentum_config`` become ``param_scheduler``.

One list for all optimizers, as one ``lr_config`` was; a dict of lists where
it was a dict of them, one per network.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.lr.inherited import lr_config_of
from mmamp.migration.config.lr.policies import POLICIES
from mmamp.migration.config.lr.policy import WARMUP, NoCounterpart, Policy
from mmamp.migration.config.lr.warmup import warmup
from mmamp.migration.config.run_length import LEFT, RunLength, run_length
from mmamp.migration.config.values import (
    Value,
    listing,
    literal,
    mapping,
    merge,
)
from mmamp.migration.rule import Rule

NEW = 'param_scheduler'
CONFIGS = {'lr_config': 'LR', 'momentum_config': 'Momentum'}


def apply(context: Context) -> None:
    """Apply the rule."""
    run = run_length(context)
    found: list[Value] = []
    for name, parameter in CONFIGS.items():
        if not context.has(name):
            continue
        config = _effective(context, name)
        if config is None:
            context.outside(name, LEFT)
            return
        try:
            schedulers = _schedulers(context, config, run, parameter)
        except NoCounterpart as reason:
            context.todo(name, f'{name}: {reason}')
            for other in CONFIGS:
                if other != name and other in context:
                    context.todo(
                        other,
                        f'{other} is left with {name}, beside which '
                        'it is to be in param_scheduler',
                    )
            return
        if schedulers is None:
            context.outside(name, LEFT)
            return
        found.append(schedulers)
    if not found:
        return
    names = [name for name in CONFIGS if name in context]
    old = [context.take(name, NEW) for name in names]
    there = context.get(NEW)
    if there is None or not there.is_own or any(x.is_own for x in old):
        first, *rest = found
        context.replace(NEW, _joined(first, *rest) if rest else first)
    for config, schedulers in zip(old, found, strict=True):
        _say(context, config, schedulers)


def _effective(context: Context, name: str) -> Value | None:
    """Return the settings, with those of a 1.x base; None: a part."""
    config = context[name]
    if not config.is_dict:
        return config
    if config.get('_delete_'):
        return config.without('_delete_')
    base = None
    if name == 'lr_config':
        base = lr_config_of(context.get(NEW), context.project.ends_by_hand)
    if base is not None and _is_of_base(base, config):
        config = merge(base, config)
    has_policy = 'policy' in config or 'type' in config
    return config if has_policy or _is_per_network(config) else None


def _is_of_base(base: Value, config: Value) -> bool:
    """Tell whether the two are of one policy.

    Had they not been, a child would have had to delete the other's settings.
    """
    own = config.get('policy')
    return own is None or _policy_name(config) == _policy_name(base)


def _is_per_network(config: Value) -> bool:
    children = config.items or {}
    return bool(children) and all(
        x.plain is None or ('policy' in x or 'type' in x)
        for x in children.values()
    )


def _schedulers(
    context: Context, config: Value, run: RunLength, parameter: str
) -> Value | None:
    """Make the schedulers; None if the run's length has to be known."""
    if config.plain is None:
        return literal(None)
    if not config.is_dict:
        raise NoCounterpart('not a dict that can be read here')
    if 'policy' not in config and 'type' not in config:
        lists = {
            network: _schedulers(context, config[network], run, parameter)
            for network in config.items or {}
        }
        if any(x is None for x in lists.values()):
            return None
        return mapping(**{k: _as_list(v) for k, v in lists.items() if v})
    name = _policy_name(config)
    if name not in POLICIES:
        raise NoCounterpart(
            f'MMEngine has no policy like {name}; known here are '
            f'{", ".join(POLICIES)}'
        )
    form = POLICIES[name]
    is_none = [k for k in config.items or {} if config.get(k) is None]
    config = config.without('policy', 'type', *is_none)
    known = {*form.arguments.split(), *WARMUP, 'by_epoch'}
    unknown = [k for k in config.items or {} if k not in known]
    if unknown:
        raise NoCounterpart(
            f'{", ".join(unknown)}: not a setting of the policy {name}'
        )
    if 'by_epoch' not in config and form.is_by_iteration:
        config = config.with_items(by_epoch=literal(False))
    is_constant = name == 'Fixed'
    if 'by_epoch' not in config and run.by_epoch is None and not is_constant:
        return None
    by_hand = context.project.ends_by_hand
    policy = Policy(config, run, parameter, _rates(context), by_hand)
    warm = warmup(policy) if form.has_warmup else []
    found = [*warm, *form.convert(policy)]
    for warning in policy.warnings:
        context.warned(config, warning)
    return listing(*found) if found else literal(None)


def _rates(context: Context) -> tuple[float, ...]:
    """Return the learning rates of optimizers, as far as they are known."""
    wrapper = context.get('optim_wrapper') or mapping()
    entries = [wrapper, *(wrapper.items or {}).values()]
    rates = [x['optimizer'].get('lr') for x in entries if 'optimizer' in x]
    return tuple(x for x in rates if isinstance(x, (int, float)))


def _policy_name(config: Value) -> str:
    """Return the name of a policy as MMCV's hook has it."""
    name = str(config.get('policy') or config.get('type'))
    name = name.split('.')[-1]
    name = name.removesuffix('Hook').removesuffix('Updater')
    name = name.removesuffix('Lr').removesuffix('Momentum')
    # As MMCV does it: what has a capital is taken as it is.
    return name.title() if name == name.lower() else name


def _as_list(schedulers: Value) -> Value:
    return schedulers if schedulers.elements is not None else listing()


def _joined(first: Value, second: Value) -> Value:
    """Join the schedulers of both, network by network."""
    if first.is_dict or second.is_dict:
        networks = [*first, *second]
        return mapping(
            **{x: _joined(_of(first, x), _of(second, x)) for x in networks}
        )
    return listing(*(first.elements or []), *(second.elements or []))


def _of(schedulers: Value, network: str) -> Value:
    if not schedulers.is_dict:
        return schedulers
    return schedulers[network] if network in schedulers else listing()


def _say(context: Context, old: Value, schedulers: Value) -> None:
    if schedulers.is_dict:
        context.changed(old, f'param_scheduler of {", ".join(schedulers)}')
    elif schedulers.elements:
        names = [str(x.get('type')) for x in schedulers.elements]
        context.changed(old, f'param_scheduler of {", ".join(names)}')
    else:
        context.changed(old, 'what is constant needs no param_scheduler')


RULE = Rule('lr_config', 'lr_config and momentum_config', apply)
