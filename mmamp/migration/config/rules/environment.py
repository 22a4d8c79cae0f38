"""What a run is in, and where it begins: ``env_cfg``, ``randomness``, resume.

``workflow`` goes: a loop of its own validates.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.run_length import run_length
from mmamp.migration.config.values import literal, mapping
from mmamp.migration.rule import Rule

ENVIRONMENT: dict[str, tuple[str, ...]] = {
    'cudnn_benchmark': ('cudnn_benchmark',),
    'mp_start_method': ('mp_cfg', 'mp_start_method'),
    'opencv_num_threads': ('mp_cfg', 'opencv_num_threads'),
    'dist_params': ('dist_cfg',),
}
RANDOMNESS: dict[str, tuple[str, ...]] = {
    'seed': ('seed',),
    'deterministic': ('deterministic',),
    'diff_seed': ('diff_rank_seed',),
}
LEFT = 'left for the configs that inherit it and have an env_cfg'
NO_NEED = {
    'gpu_ids': 'the launcher gives each process its device',
    'device': 'MMEngine takes the device that there is',
}


def apply(context: Context) -> None:
    """Apply the rule."""
    if _is_part(context):
        context.outside('cudnn_benchmark', LEFT)
    else:
        _move(context, ENVIRONMENT, 'env_cfg')
    _move(context, RANDOMNESS, 'randomness')
    _resume(context)
    _workflow(context)
    for name, reason in NO_NEED.items():
        if context.has(name):
            context.changed(context[name], f'{name} is dropped: {reason}')
            context.take(name)


def _is_part(context: Context) -> bool:
    """Tell whether this is a base of a model, that has one setting of a run.

    No two bases of a config may have a key in common, and ``env_cfg`` is in
    the base of the runtime.
    """
    found = [x for x in (*ENVIRONMENT, 'env_cfg') if x in context]
    is_alone = found == ['cudnn_benchmark']
    return is_alone and run_length(context).by_epoch is None


def _move(
    context: Context, places: dict[str, tuple[str, ...]], new: str
) -> None:
    """Put settings from the top into a dict of them."""
    there = context.get(new)
    names = [x for x in places if x in context]
    if (
        there is not None
        and there.line
        and any(context[x].line for x in names)
    ):
        # A config of 1.x that has variables of such names.
        return
    for name in names:
        if not context.has(name):
            continue
        value = context[name]
        if value.plain is not None:
            item = value
            for key in reversed(places[name]):
                item = mapping(**{key: item})
            context.put(new, item)
        context.take(name, new)
        context.changed(value, f'{new}.{".".join(places[name])}')


def _resume(context: Context) -> None:
    """Convert ``resume_from``: ``resume`` takes what ``load_from`` names."""
    resumes = False
    for name in ('resume_from', 'auto_resume'):
        if not context.has(name):
            continue
        value = context[name]
        there = context.get('resume')
        is_nearer = there is not None and there.is_own and not value.is_own
        if value.plain and not is_nearer:
            resumes = True
            if name == 'resume_from':
                context.replace('load_from', value)
                context.origin('load_from', name)
        if not is_nearer:
            context.replace('resume', literal(resumes))
        context.take(name, 'resume')
        context.changed(value, f'resume={resumes}')


def _workflow(context: Context) -> None:
    name = 'workflow'
    if not context.has(name):
        return
    value = context[name]
    steps = value.plain if isinstance(value.plain, list) else []
    if any('val' in step for step in steps if isinstance(step, (list, tuple))):
        context.warned(
            value,
            'the losses of validation data are not computed any more; '
            'val_dataloader, val_evaluator and val_cfg measure, every '
            'train_cfg.val_interval',
        )
    else:
        context.changed(value, 'workflow is dropped: the loop trains')
    context.take(name)


RULE = Rule(
    'environment',
    'settings of the process, the randomness and resuming',
    apply,
)
