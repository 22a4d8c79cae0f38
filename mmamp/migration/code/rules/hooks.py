"""Methods of hooks take what MMEngine's loops hand them."""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.names import dotted, of_type
from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule

HOOKS = {
    *('mmcv.Hook', 'mmcv.runner.Hook', 'mmcv.runner.hooks.Hook'),
    *('mmcv.runner.hooks.hook.Hook', 'mmengine.hooks.Hook'),
}
BEFORE = ('batch_idx', 'data_batch=None')
AFTER = (*BEFORE, 'outputs=None')
ARGUMENTS = {
    **{f'before_{x}_iter': BEFORE for x in ('train', 'val', 'test')},
    **{f'after_{x}_iter': AFTER for x in ('train', 'val', 'test')},
    **{f'after_{x}_epoch': ('metrics=None',) for x in ('val', 'test')},
}
"""What methods get on top of the runner."""
NOT_CALLED = {
    **{f'{x}_iter': f'_{x}_iter' for x in ('before', 'after')},
    **{f'{x}_epoch': f'_{x}_epoch' for x in ('before', 'after')},
}
"""Methods that MMCV's hooks called for every mode, and what does so now."""
RUNNERS = {
    'outputs': 'the argument outputs',
    'optimizer': 'runner.optim_wrapper',
    'log_buffer': 'runner.message_hub',
    'data_loader': 'runner.train_dataloader',
    'inner_iter': 'the argument batch_idx',
    'mode': 'the method that is called',
    'data_batch': 'the argument data_batch',
}
"""What MMCV's runner had, and where it is now."""


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    names = notes.names(module)
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    for owner in of_type(module, cst.ClassDef):
        if not any(names.is_one_of(x.value, HOOKS) for x in owner.bases):
            continue
        for method in owner.body.body:
            if isinstance(method, cst.FunctionDef):
                new = _method(method, notes)
                if new is not method:
                    actions[method] = [new]
    return replace(module, actions)


def _method(method: cst.FunctionDef, notes: Notes) -> cst.FunctionDef:
    name = method.name.value
    if name in NOT_CALLED and len(method.params.params) == 2:
        return notes.todo(
            method,
            f'MMEngine does not call {name}(runner): {NOT_CALLED[name]} has '
            'a mode and what the loop hands on',
        )
    gone = {
        x.attr.value: RUNNERS[x.attr.value]
        for x in of_type(method.body, cst.Attribute)
        if dotted(x.value) == 'runner' and x.attr.value in RUNNERS
    }
    new = _with_arguments(method, ARGUMENTS.get(name, ()))
    if new is not method:
        notes.changed(method, f'{name} takes {", ".join(ARGUMENTS[name])}')
    if not gone:
        return new
    said = ', '.join(f'{x}, which is {y}' for x, y in gone.items())
    return notes.todo(new, f'the runner of MMEngine has no {said}')


def _with_arguments(
    method: cst.FunctionDef, names: tuple[str, ...]
) -> cst.FunctionDef:
    """Add arguments to a method that takes the runner alone."""
    params = method.params
    is_alone = len(params.params) == 2 and not (
        params.kwonly_params
        or params.star_kwarg
        or isinstance(params.star_arg, cst.Param)
    )
    if not is_alone or not names:
        return method
    text = f'def f(self, runner, {", ".join(names)}): pass'
    added = cst.ensure_type(cst.parse_statement(text), cst.FunctionDef)
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(' '))
    kept = [x.with_changes(comma=comma) for x in params.params]
    news = [*kept, *added.params.params[2:]]
    return method.with_changes(params=params.with_changes(params=news))


RULE = Rule('hooks', 'methods of hooks', apply, ('Hook',))
