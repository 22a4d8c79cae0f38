"""``optimizer`` and ``optimizers`` become ``optim_wrapper``.

MMGeneration's ``optimizer`` and MMEditing's ``optimizers`` hold one optimizer,
or one for each network. MMEditing's models of a single network have a dict of
one, and in 1.x a single wrapper, since ``BaseModel.train_step`` takes one.
"""

import re

import libcst as cst

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value, literal, mapping
from mmamp.migration.config.wrappers import is_several
from mmamp.migration.rule import Rule
from mmamp.migration.toolboxes import CONSTRUCTORS, listed, named

CONSTRUCTOR = 'mmamp.OptimWrapperConstructor'
BESIDE = ('constructor', 'paramwise_cfg')
"""What stood among an optimizer's arguments and stands beside it now."""

OF_PATTERNS = (
    "paramwise_options are patterns for a constructor of MMSelfSup's; "
    'paramwise_cfg has custom_keys, which are parts of names, with lr_mult '
    'and decay_mult'
)


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
    if options := optimizer.child('paramwise_options'):
        if not _are_custom_keys(options) or set(optimizer) & set(BESIDE):
            context.todo(name, OF_PATTERNS, options)
            return None
        optimizer = optimizer.without('paramwise_options').with_items(
            paramwise_cfg=mapping(custom_keys=options)
        )
    outer = {key: optimizer[key] for key in BESIDE if key in optimizer}
    if 'constructor' in optimizer:
        constructor = _constructor(context, optimizer['constructor'])
        del outer['constructor']
        if constructor is not None:
            outer['constructor'] = constructor
    if 'paramwise_cfg' in outer and 'constructor' not in outer:
        outer['paramwise_cfg'] = _paramwise(context, outer['paramwise_cfg'])
    inner = _with_float_betas(optimizer.without(*BESIDE))
    kind = {'type': literal('OptimWrapper')} if 'type' in optimizer else {}
    return mapping(**kind, optimizer=inner, **outer)


def _are_custom_keys(options: Value) -> bool:
    """Tell whether patterns of MMSelfSup do the same as ``custom_keys``.

    They do as parts of names. All that match a parameter counted, and of
    ``custom_keys`` the longest does, so that they have to say the same.
    """
    rest = options.children
    multiplied = {k for x in rest for k in x if k.endswith('_mult')}
    return (
        options.is_dict
        and options.is_known
        and all(re.fullmatch(r'\w+', x) for x in options)
        and all(x.is_dict and x.plain == rest[0].plain for x in rest)
        and multiplied <= {'lr_mult'}
    )


def _constructor(context: Context, old: Value) -> Value | None:
    """Return a constructor by its name in 1.x; None: it is the default."""
    if not isinstance(old.plain, str):
        return old
    name = old.plain.rpartition('.')[2]
    if name in context.project.classes:
        return old
    if name == 'DefaultOptimizerConstructor':
        return None
    target = context.target
    known = named(CONSTRUCTORS, name, target)
    if target and known:
        new = known[0]
        if new.note:
            context.warned(old, f'{new.new} of {new.toolbox}: {new.note}')
        return old if new.new == name else literal(new.new)
    reason = f'the constructor {name} keeps its name'
    if target:
        reason += f': {target} has none of it, so it is of the project'
    elif known and any(x.new != name for x in known):
        reason += f': it is {listed(known)}; --target says which it is for'
    elif not known:
        reason += ': it is of the project'
    else:
        return old
    context.outside(old, reason)
    return old


def _paramwise(context: Context, old: Value) -> Value:
    """Have norms and depth-wise convolutions decay as they did.

    A norm's bias was a norm's parameter for MMCV; for MMEngine it is a bias
    unless norms have a setting of their own.
    """
    bias = old.get('bias_decay_mult')
    if bias in (None, 1):
        return old
    if old.get('dwconv_decay_mult', 1) != bias:
        context.warned(
            old,
            'biases of depth-wise convolutions decayed by dwconv_decay_mult, '
            'and decay by bias_decay_mult now; where a model has them, '
            'custom_keys can name them',
        )
    if 'norm_decay_mult' in old:
        return old
    context.changed(
        old,
        'norm_decay_mult=1.0: without it bias_decay_mult would be for the '
        'biases of norms too',
    )
    return old.with_items(norm_decay_mult=literal(1.0))


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
            context.warned(
                at,
                f'the optimizer of {network} alone becomes the one of the '
                'model, since a BaseModel of a single network takes one: '
                'train_step has optim_wrapper in place of '
                f'optimizer[{network!r}]',
            )
            return
    constructor = {}
    if there is None or 'constructor' not in there:
        constructor = {'constructor': literal(CONSTRUCTOR)}
    context.put('optim_wrapper', mapping(**constructor, **entries))
    context.take(name, 'optim_wrapper')


RULE = Rule('optimizers', 'optimizer and optimizers', apply)
