"""``use_ddp_wrapper``, ``find_unused_parameters``: the model wrapper.

A model of several optimizers needs one that wraps each network by itself, as
MMEditing did for every model; a
dynamic one, whose reducer the runner prepared, has it look for what is unused.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value, literal, mapping
from mmamp.migration.config.wrappers import is_several
from mmamp.migration.rule import Rule

SEPARATE = 'MMSeparateDistributedDataParallel'
WHOLE = 'MMDistributedDataParallel'


def apply(context: Context) -> None:
    """Apply the rule."""
    names = [
        x
        for x in ('use_ddp_wrapper', 'find_unused_parameters')
        if context.has(x)
    ]
    wrapper = context.get('optim_wrapper')
    several = wrapper is not None and is_several(wrapper)
    # A part of configs leaves it to those that inherit it.
    is_new = 'optim_wrapper' in context.origins and not context.is_part
    dynamic = context.get('runner', 'is_dynamic_ddp')
    is_dynamic = dynamic is not None and bool(dynamic.plain)
    if not names and not is_dynamic and not (several and is_new):
        return
    items: dict[str, Value] = {}
    if wrapper is not None or 'use_ddp_wrapper' in context or is_dynamic:
        flag = context.get('use_ddp_wrapper')
        by_flag = flag is not None and bool(flag.plain)
        is_mmedit = 'optimizers' in context.origins.get('optim_wrapper', [])
        is_separate = several or by_flag or is_dynamic or is_mmedit
        items['type'] = literal(SEPARATE if is_separate else WHOLE)
        items['broadcast_buffers'] = literal(False)
    there = context.get('model_wrapper_cfg')
    find = context.get('find_unused_parameters')
    if is_dynamic:
        items['find_unused_parameters'] = literal(True)
        context.origin('model_wrapper_cfg', 'runner')
    elif find is not None:
        items['find_unused_parameters'] = find
    elif there is None:
        items['find_unused_parameters'] = literal(False)
    context.put('model_wrapper_cfg', mapping(**items))
    for name in names:
        context.take(name, 'model_wrapper_cfg')
    context.origin('model_wrapper_cfg', 'optimizer')
    context.origin('model_wrapper_cfg', 'optimizers')


RULE = Rule(
    'model_wrapper', 'use_ddp_wrapper and find_unused_parameters', apply
)
