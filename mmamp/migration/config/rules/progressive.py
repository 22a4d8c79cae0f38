"""Optimizers that a model built itself, of ``train_cfg``.

Progressive GANs (``optimizer_cfg``, rates for each scale) and SinGAN
(``lr_d``, ``lr_g``) had ``optimizer = None``. MMagic's models have them in an
``optim_wrapper`` with a constructor of their own.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value, literal, mapping
from mmamp.migration.rule import Rule

PROGRESSIVE = 'mmagic.PGGANOptimWrapperConstructor'
SINGAN = 'mmagic.SinGANOptimWrapperConstructor'


def apply(context: Context) -> None:
    """Apply the rule."""
    old = context.get('train_cfg')
    if old is not None and 'optimizer_cfg' in old:
        _progressive(context, old)
    elif old is not None and 'lr_d' in old and 'lr_g' in old:
        _singan(context, old)
    elif _is_migrated_singan(context):
        _lengthen(context, context.get('model', 'discriminator_steps'))
    for name in ('optimizer', 'optimizers'):
        if name in context and context[name].plain is None:
            _none(context, name)


def _none(context: Context, name: str) -> None:
    if 'optim_wrapper' in context:
        context.take(name, 'optim_wrapper')
    elif context[name].is_own:
        context.todo(
            name,
            f'{name} is None and train_cfg has no optimizer_cfg, lr_d or '
            'lr_g: the model builds its optimizers itself, and they belong '
            'into optim_wrapper',
        )


def _progressive(context: Context, old: Value) -> None:
    optimizers = old['optimizer_cfg']
    if not optimizers.is_dict:
        context.todo('train_cfg', 'optimizer_cfg is not a dict')
        return
    entries: dict[str, Value] = {}
    schedule: dict[str, Value] = {}
    for name, short in (('generator', 'g'), ('discriminator', 'd')):
        if name not in optimizers:
            continue
        optimizer = optimizers[name]
        if f'{short}_lr_base' in old:
            # Each scale's rate is set anew: this one where none is named.
            optimizer = optimizer.with_items(lr=old[f'{short}_lr_base'])
        entries[name] = mapping(optimizer=optimizer)
        if f'{short}_lr_schedule' in old:
            schedule[name] = old[f'{short}_lr_schedule']
    if schedule:
        entries['lr_schedule'] = mapping(**schedule)
    context.put(
        'optim_wrapper',
        mapping(**{'constructor': literal(PROGRESSIVE), **entries}),
    )
    rest = old.without(
        *('optimizer_cfg', 'g_lr_base', 'd_lr_base'),
        *('g_lr_schedule', 'd_lr_schedule'),
    )
    _move(context, rest, ('nkimgs_per_scale', 'transition_kimgs'))
    _say(context, optimizers)


def _singan(context: Context, old: Value) -> None:
    def entry(lr: Value) -> Value:
        # The model had the rest written in its code.
        kind = mapping(
            type=literal('Adam'), lr=lr, betas=literal((0.5, 0.999))
        )
        return mapping(optimizer=kind)

    context.put(
        'optim_wrapper',
        mapping(
            constructor=literal(SINGAN),
            generator=entry(old['lr_g']),
            discriminator=entry(old['lr_d']),
        ),
    )
    _lengthen(context, old.child('disc_steps'))
    # MMagic's model begins with it by itself.
    rest = old.without('lr_g', 'lr_d', 'curr_scale')
    if 'disc_steps' in rest:
        rest = rest.renamed(disc_steps='discriminator_steps')
    names = (
        *('noise_weight_init', 'iters_per_scale'),
        *('lr_scheduler_args', 'discriminator_steps', 'generator_steps'),
    )
    _move(context, rest, names)
    _say(context, old['lr_g'])


def _is_migrated_singan(context: Context) -> bool:
    wrapper = context.get('optim_wrapper', 'constructor')
    return wrapper is not None and wrapper.plain == SINGAN


def _lengthen(context: Context, count: Value | None) -> None:
    """Count all steps of the discriminator, which were one iteration."""
    steps = count.plain if count is not None else 1
    total = context.get('total_iters')
    if total is None or steps == 1:
        return
    if isinstance(total.plain, int) and isinstance(steps, int):
        context.replace('total_iters', literal(total.plain * steps))
        context.origin('train_cfg', 'total_iters')
        context.warned(
            total,
            f'an iteration was {steps} updates of the discriminator and is '
            f'one now: {total.plain} become {total.plain * steps}; intervals '
            'keep their numbers',
        )


def _move(context: Context, rest: Value, names: tuple[str, ...]) -> None:
    """Make settings of training arguments of the model."""
    moved = {x: rest[x] for x in names if x in rest}
    if 'model' in context:
        if moved:
            context.put('model', mapping(**moved))
        context.origin('model', 'train_cfg')
        rest = rest.without(*moved)
    context.replace('train_cfg', rest)
    context.origin('optim_wrapper', 'train_cfg')
    if not rest.items:
        context.take('train_cfg')


def _say(context: Context, at: Value) -> None:
    context.warned(
        at,
        'the optimizers that the model built itself are in optim_wrapper, '
        "with the constructor that MMagic's model wants",
    )


RULE = Rule(
    'progressive',
    'settings of progressively growing and multi-scale GANs',
    apply,
)
