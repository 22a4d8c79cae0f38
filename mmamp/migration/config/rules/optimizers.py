"""``optimizer`` and ``optimizers`` become ``optim_wrapper``.

MMGeneration's ``optimizer`` and MMEditing's ``optimizers`` hold one optimizer,
or one for each network. MMEditing's models of a single network have a dict of
one, and in 1.x a single wrapper, since ``BaseModel.train_step`` takes one.
"""

import libcst as cst

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value, literal, mapping
from mmamp.migration.config.wrappers import is_several
from mmamp.migration.rule import Rule

CONSTRUCTOR = 'mmamp.OptimWrapperConstructor'
BESIDE = ('constructor', 'paramwise_cfg')
"""What stood among an optimizer's arguments and stands beside it now."""


def apply(context: Context) -> None:
    """Apply the rule."""
    for name in ('optimizer', 'optimizers'):
        if not context.has(name):
            continue
        optimizer = context[name]
        if optimizer.plain is None:
            # Rules that know where the optimizers are come later.
            continue
        if not optimizer.is_dict:
            context.todo(name, f'{name} is not a dict that can be read here')
        elif is_single(optimizer):
            wrapper = single(context, name, optimizer)
            if wrapper is not None:
                _put_single(context, wrapper)
                context.take(name, 'optim_wrapper')
        else:
            _networks(context, name, optimizer)


def is_single(optimizer: Value) -> bool:
    """Tell whether these are the settings of one optimizer."""
    children = optimizer.items or {}
    if 'type' in children:
        return True
    # Part of what a base has: networks are dicts, an optimizer's settings
    # are not.
    rest = [x for key, x in children.items() if key not in BESIDE]
    return not rest or not all(x.is_dict or x.plain is None for x in rest)


def single(context: Context, name: str, optimizer: Value) -> Value | None:
    """Make the entry of one optimizer; None if that is left to do."""
    outer = {key: optimizer[key] for key in BESIDE if key in optimizer}
    constructor = optimizer.get('constructor')
    if constructor == 'DefaultOptimizerConstructor':
        # Its name in 1.x is the default's.
        del outer['constructor']
    elif isinstance(constructor, str):
        outer['constructor'] = literal(
            constructor.replace(
                'OptimizerConstructor', 'OptimWrapperConstructor'
            )
        )
        context.warned(
            optimizer['constructor'],
            f'the constructor {constructor} is expected under the name '
            f'{outer["constructor"].plain} in 1.x',
        )
    inner = _with_float_betas(optimizer.without(*BESIDE))
    kind = {'type': literal('OptimWrapper')} if 'type' in optimizer else {}
    return mapping(**kind, optimizer=inner, **outer)


def _with_float_betas(optimizer: Value) -> Value:
    """Write ``betas=(0, 0.99)`` as ``(0., 0.99)``: torch takes no mixed."""
    betas = optimizer.child('betas')
    source = betas.source if betas is not None else None
    if betas is None or not isinstance(betas.plain, (tuple, list)):
        return optimizer
    kinds = {type(x) for x in betas.plain}
    if kinds != {int, float}:
        return optimizer
    if not isinstance(source, (cst.Tuple, cst.List)):
        floats = type(betas.plain)(map(float, betas.plain))
        return optimizer.with_items(betas=literal(floats))
    elements = [
        x.with_changes(value=cst.Float(f'{x.value.value}.'))
        if isinstance(x.value, cst.Integer)
        else x
        for x in source.elements
    ]
    floats = type(betas.plain)(map(float, betas.plain))
    new = source.with_changes(elements=elements)
    return optimizer.with_items(
        betas=Value(floats, source=new, line=betas.line, names=betas.names)
    )


def _put_single(context: Context, wrapper: Value) -> None:
    there = context.get('optim_wrapper')
    if there is not None and 'type' in there:
        # A base that is of 1.x already says in what precision.
        wrapper = wrapper.without('type')
    context.put('optim_wrapper', wrapper)


def _networks(context: Context, name: str, optimizer: Value) -> None:
    entries: dict[str, Value] = {}
    for network in optimizer:
        child = optimizer[network]
        if child.plain is None:
            # A child config that leaves out a network of its base.
            continue
        entry = single(context, name, child) if child.is_dict else None
        if entry is None:
            context.todo(name, f'{name}.{network} is not an optimizer')
            return
        entries[network] = entry.without('type')
    there = context.get('optim_wrapper')
    was_single = there is not None and not is_several(there)
    if name == 'optimizers' and len(entries) == 1:
        (network,) = entries
        if there is None or (was_single and network not in there):
            at = optimizer[network]
            whole = single(context, name, at)
            assert whole is not None
            _put_single(context, whole)
            context.take(name, 'optim_wrapper')
            context.changed(
                at,
                f'the optimizer of {network} alone becomes the one of the '
                'model, since a BaseModel of a single network takes one '
                'optim_wrapper',
            )
            return
    constructor = {}
    if there is None or 'constructor' not in there:
        constructor = {'constructor': literal(CONSTRUCTOR)}
    context.put('optim_wrapper', mapping(**constructor, **entries))
    context.take(name, 'optim_wrapper')


RULE = Rule('optimizers', 'optimizer and optimizers', apply)
