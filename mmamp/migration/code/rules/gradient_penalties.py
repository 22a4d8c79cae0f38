"""Penalties take a ``grad`` callable in place of the loss scaler.

What a function did with ``loss_scaler`` and ``use_apex_amp`` goes: without
them it took ``torch.autograd.grad``, and so it does still, by the name
``grad``, for which the optimizer wrapper's is given under AMP.
"""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.names import (
    code,
    dotted,
    of_type,
    rename,
    swap,
    variables,
)
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.operations import APEX, SCALER, mentions
from mmamp.migration.code.qualified import Names
from mmamp.migration.rule import Rule

GRAD = {'torch.autograd.grad', 'autograd.grad'}
LEFT = (
    'loss_scaler is used in a way that is not understood: take grad, with '
    "torch.autograd.grad's arguments, and give it optim_wrapper[...].grad"
)


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    names = notes.names(module)
    for function in of_type(module, cst.FunctionDef):
        if _is_penalty(function, names):
            actions[function] = [_convert(function, notes, names)]
    module = replace(module, actions)
    done = {x.name.value for x in actions if isinstance(x, cst.FunctionDef)}
    return _without_apex(module, done)


def _is_penalty(function: cst.FunctionDef, names: Names) -> bool:
    params = {x.name.value for x in function.params.params}
    name = function.name.value
    is_told = name != 'train_step' and SCALER in params
    return is_told and bool(_grads(function, names))


def _grads(function: cst.CSTNode, names: Names) -> list[cst.BaseExpression]:
    return [
        x.func
        for x in of_type(function, cst.Call)
        if names.is_one_of(x.func, GRAD)
    ]


def _convert(
    function: cst.FunctionDef, notes: Notes, names: Names
) -> cst.FunctionDef:
    """Take the path without a loss scale."""
    name = function.name.value
    actions: dict[cst.CSTNode, list[Any]] = {
        node: _without(node)
        for node in of_type(function.body, cst.If)
        if code(node.test) in (SCALER, APEX)
    }
    # An `elif` is a part of its `if`.
    new: Any = replace(function, actions)
    if mentions(new.body, SCALER) or mentions(new.body, APEX):
        return notes.todo(function, LEFT)
    calls = _grads(new.body, names)
    default = calls[0]
    taken = variables(new.body)
    # What is called must not be renamed with a variable of that name.
    new = swap(new, {x: cst.Name(_fresh('called', taken)) for x in calls})
    renamed = {_fresh('called', taken): 'grad'}
    if 'grad' in variables(new.body):
        renamed['grad'] = _fresh('gradient', taken)
    new = rename(new, renamed)
    params = [
        x.with_changes(name=cst.Name('grad'), default=default)
        if x.name.value == SCALER
        else x
        for x in new.params.params
        if x.name.value != APEX
    ]
    last = params[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    notes.warned(
        function,
        f'{name} takes grad=optim_wrapper[...].grad in place of loss_scaler '
        'and use_apex_amp; without it the penalty is on what '
        'torch.autograd.grad returns',
    )
    converted: cst.FunctionDef = new.with_changes(
        params=new.params.with_changes(params=[*params[:-1], last])
    )
    return converted


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += '_'
    return name


def _without(node: cst.If) -> list[Any]:
    """Return what is left of a branch on the loss scale."""
    rest = node.orelse
    while isinstance(rest, cst.If) and code(rest.test) in (SCALER, APEX):
        rest = rest.orelse
    if isinstance(rest, cst.If):
        return [rest.with_changes(leading_lines=node.leading_lines)]
    if rest is None or not isinstance(rest.body, cst.IndentedBlock):
        return []
    first, *others = rest.body.body
    lines = [*node.leading_lines, *first.leading_lines]  # type: ignore
    return [first.with_changes(leading_lines=lines), *others]


def _without_apex(module: cst.Module, names: set[str]) -> cst.Module:
    """Take ``use_apex_amp`` out of the calls of what was converted."""
    news: dict[cst.CSTNode, cst.CSTNode] = {}
    for owner in of_type(module, cst.ClassDef):
        calls = of_type(owner, cst.Call)
        if not any(dotted(x.func) in names for x in calls):
            continue
        for call in calls:
            args = [x for x in call.args if not _is_apex(x)]
            if len(args) < len(call.args):
                if args:
                    comma = call.args[-1].comma
                    args[-1] = args[-1].with_changes(comma=comma)
                news[call] = call.with_changes(args=args)
    return swap(module, news)


def _is_apex(arg: cst.Arg) -> bool:
    return (
        arg.keyword is not None
        and arg.keyword.value == APEX
        and dotted(arg.value) == f'self.{APEX}'
    )


RULE = Rule(
    'gradient_penalties',
    'the loss scaler in gradient penalties',
    apply,
    (SCALER,),
)
