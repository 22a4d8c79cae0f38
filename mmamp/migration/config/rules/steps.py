"""``train_cfg = dict(disc_steps=..., ...)`` becomes steps of the model.

Both versions count, but not the same: a 0.x ``train_step`` is one micro-batch
of the discriminator, and ``disc_steps`` counts those, so the number of its
updates before the generator's turn is ``disc_steps`` over
``batch_accumulation_steps``. A 1.x ``discriminator_steps`` counts updates.
"""

from typing import Any

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import UNKNOWN, Value, literal, mapping
from mmamp.migration.config.wrappers import NOT_ENTRIES, is_several
from mmamp.migration.rule import Rule

OURS = ('disc_steps', 'gen_steps', 'batch_accumulation_steps')
USE_EMA = 'use_ema'
ONE_STEP = (
    *('StaticUnconditionalGAN', 'ProgressiveGrowingGAN', 'MSPIEStyleGAN2'),
    *('Pix2Pix', 'CycleGAN'),
)
"""Models of MMGeneration that heed ``disc_steps`` alone."""
OTHERWISE = (
    *('SRGAN', 'ESRGAN', 'RealESRGAN', 'RealBasicVSR', 'GLEAN', 'TTSR'),
    *('DIC', 'SinGAN'),
)
"""Models whose ``disc_steps`` is another thing, and stays in train_cfg."""


def apply(context: Context) -> None:
    """Apply the rule."""
    old = context.get('train_cfg')
    if old is None or not any(key in old for key in (*OURS, USE_EMA)):
        return
    if not context.has('train_cfg') or _is_otherwise(context):
        return
    if 'model' not in context:
        return
    if USE_EMA in old:
        context.changed(
            old[USE_EMA],
            'use_ema is dropped: a model that has ema_config has an average',
        )
        old = old.without(USE_EMA)
    old = _heeded(context, old)
    counts = {key: old.get(key) for key in OURS if key in old}
    wrong = {k: v for k, v in counts.items() if not _is_count(v)}
    if wrong:
        context.todo('train_cfg', f'not known as numbers: {", ".join(wrong)}')
        return
    if _convert(context, old, counts):
        rest = old.without(*OURS)
        context.replace('train_cfg', rest)
        context.origin('model', 'train_cfg')
        if not rest.items:
            context.take('train_cfg', 'model')


def _heeded(context: Context, old: Value) -> Value:
    """Take out what the model did not look at."""
    kind = context.get('model', 'type')
    if kind is None or kind.plain not in ONE_STEP:
        return old
    for key in ('gen_steps', 'batch_accumulation_steps'):
        if key in old:
            if old.get(key) != 1:
                context.warned(
                    old[key],
                    f'{key} is dropped: {kind.plain} did not heed it',
                )
            old = old.without(key)
    return old


def _is_otherwise(context: Context) -> bool:
    kind = context.get('model', 'type')
    return kind is not None and str(kind.plain).split('.')[-1] in OTHERWISE


def _is_count(value: Any) -> bool:
    return value is not UNKNOWN and type(value) is int and value > 0


def _convert(context: Context, old: Value, counts: dict[str, int]) -> bool:
    there = _accumulation(context)
    micro = counts.get('batch_accumulation_steps', there)
    steps = counts.get('disc_steps')
    if steps is None and micro != there:
        # A base that is of 1.x already has the updates, not the calls.
        updates = context.get('model', 'discriminator_steps')
        steps = (updates.plain if updates is not None else 1) * there
    new: dict[str, Value] = {}
    if steps is not None:
        if steps % micro:
            context.todo(
                'train_cfg',
                f'disc_steps={steps} is no multiple of '
                f'batch_accumulation_steps={micro}: the generator had its '
                'turn inside of an update of the discriminator',
            )
            return False
        exact = micro == 1 and 'disc_steps' in old
        new['discriminator_steps'] = (
            old['disc_steps'] if exact else literal(steps // micro)
        )
        if micro != 1 and 'disc_steps' in old:
            context.changed(
                old['disc_steps'],
                f'disc_steps={steps} counted micro-batches: '
                f'discriminator_steps={steps // micro} with '
                f'accumulative_counts={micro}',
            )
    if 'gen_steps' in old:
        new['generator_steps'] = old['gen_steps']
    if micro != there and not _accumulate(context, old, micro):
        return False
    context.put('model', mapping(**new))
    return True


def _accumulation(context: Context) -> int:
    """Return the micro-batches of an update, as a 1.x base has them."""
    wrapper = context.get('optim_wrapper')
    if wrapper is None:
        return 1
    entries = [wrapper, *wrapper.children]
    counts = [x.get('accumulative_counts') for x in entries]
    return max((x for x in counts if isinstance(x, int)), default=1)


def _first(entry: Value, counts: Value) -> Value:
    """Put the accumulation into an entry, where people write it."""
    rest = entry.without('accumulative_counts').items or {}
    return entry.without(*entry).with_items(accumulative_counts=counts, **rest)


def _accumulate(context: Context, old: Value, micro: int) -> bool:
    wrapper = context.get('optim_wrapper')
    if wrapper is None or not is_several(wrapper):
        context.todo(
            'train_cfg',
            'batch_accumulation_steps is accumulative_counts of the '
            "networks' optim_wrapper, which is not here",
        )
        return False
    counts = (
        old['batch_accumulation_steps']
        if 'batch_accumulation_steps' in old
        else literal(micro)
    )
    items = {
        key: _first(entry, counts)
        if key not in NOT_ENTRIES and entry.is_dict
        else entry
        for key, entry in (wrapper.items or {}).items()
    }
    context.replace('optim_wrapper', wrapper.with_items(**items))
    context.origin('optim_wrapper', 'train_cfg')
    return True


RULE = Rule('steps', 'how often each network of a GAN is updated', apply)
