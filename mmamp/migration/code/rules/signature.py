"""``train_step(self, data, optim_wrapper)``, the signature of 1.x.

It is the last of the rules on training steps: they know one of 0.x by its
signature.
"""

from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import comment_texts, replace, statement
from mmamp.migration.code.names import (
    bound_names,
    code,
    dotted,
    of_type,
    rename,
    swap,
    variables,
)
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.operations import mentions
from mmamp.migration.code.train_steps import (
    RUNNER_ARGUMENTS,
    TrainStep,
    change,
)
from mmamp.migration.rule import Rule

DATA, WRAPPER = 'data', 'optim_wrapper'


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    return change(module, lambda step: _convert(step, notes))


def _convert(step: TrainStep, notes: Notes) -> cst.FunctionDef:
    function = step.function
    bound = bound_names(function.body)
    used = variables(function.body)
    if WRAPPER in used:
        return notes.todo(
            function, 'optim_wrapper is a variable of its own in train_step'
        )
    # The data is passed by its position, so that any name will do.
    data = step.data if DATA in bound | used else DATA
    parent = _parents_calls(function)
    function = swap(function, {x: _for_parent(x) for x in parent})
    left = [x for x in RUNNER_ARGUMENTS if mentions(function.body, x)]
    function = _mark(function, left, notes)
    names = {step.data: data, step.optimizer: WRAPPER}
    params = _params(function.params, names, left)
    body = rename(function.body, names)
    if not parent and not _is_abstract(function):
        body = _preprocessed(body, data)
        notes.warned(step.function, _of_data(function, step.data))
    notes.changed(step.function, f'train_step(self, {data}, {WRAPPER})')
    function = function.with_changes(params=params, body=body)
    is_shorter = len(params.params) < len(step.function.params.params)
    return _on_one_line(function) if is_shorter else function


def _params(
    params: cst.Parameters, names: dict[str, str], left: list[str]
) -> cst.Parameters:
    kept = []
    for param in params.params:
        name = param.name.value
        if name in RUNNER_ARGUMENTS and name not in left:
            continue
        new = param.name.with_changes(value=names.get(name, name))
        kept.append(param.with_changes(name=new))
    if len(kept) < len(params.params):
        # The comma of the last, and the line break after it.
        kept[-1] = kept[-1].with_changes(comma=params.params[-1].comma)
    return params.with_changes(params=kept)


def _on_one_line(function: cst.FunctionDef) -> cst.FunctionDef:
    """Take out the line breaks that a signature needs no more."""
    params = function.params.params
    bare = [x.with_changes(comma=cst.MaybeSentinel.DEFAULT) for x in params]
    head = f'def train_step({", ".join(map(code, bare))})'
    if comment_texts(function.params) or len(head) > 60 or '\n' in head:
        return function
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(' '))
    *others, last = params
    new = [x.with_changes(comma=comma) for x in others]
    new.append(last.with_changes(comma=cst.MaybeSentinel.DEFAULT))
    return function.with_changes(
        params=function.params.with_changes(params=new),
        whitespace_before_params=cst.SimpleWhitespace(''),
    )


def _mark(
    function: cst.FunctionDef, left: list[str], notes: Notes
) -> cst.FunctionDef:
    """Mark what still needs an argument that the runner does not pass."""
    actions: dict[cst.CSTNode, Any] = {}
    for line in _innermost(function.body):
        names = [x for x in left if mentions(line, x)]
        if names:
            reason = f'the runner of 1.x does not pass {" and ".join(names)}'
            actions[line] = [notes.todo(line, reason)]
    return replace(function, actions)


def _innermost(node: cst.CSTNode) -> list[Any]:
    """Return the simple statements of a tree, at any depth."""
    return of_type(node, cst.SimpleStatementLine)


def _parents_calls(function: cst.FunctionDef) -> list[cst.Call]:
    """Return the calls of ``super().train_step``."""
    return [
        x
        for x in of_type(function.body, cst.Call)
        if isinstance(x.func, cst.Attribute)
        and x.func.attr.value == 'train_step'
        and isinstance(x.func.value, cst.Call)
        and dotted(x.func.value.func) == 'super'
    ]


def _for_parent(call: cst.Call) -> cst.Call:
    """Give a call of the parent's step the arguments of 1.x."""
    args = [
        x.with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)
        if x.keyword
        else x
        for x in call.args
        if dotted(x.value) not in RUNNER_ARGUMENTS
    ]
    if args:
        args[-1] = args[-1].with_changes(comma=call.args[-1].comma)
    return call.with_changes(args=args)


def _is_abstract(function: cst.FunctionDef) -> bool:
    """Tell whether there is nothing in it but a docstring, pass or raise."""
    return all(
        isinstance(line, cst.SimpleStatementLine)
        and all(
            isinstance(x, (cst.Pass, cst.Raise))
            or (
                isinstance(x, cst.Expr)
                and isinstance(
                    x.value,
                    (cst.SimpleString, cst.ConcatenatedString, cst.Ellipsis),
                )
            )
            for x in line.body
        )
        for line in function.body.body
    )


def _preprocessed(body: Any, data: str) -> Any:
    """Hand the batch to the data preprocessor before all else."""
    new = statement(f'{data} = self.data_preprocessor({data}, True)')
    lines = list(body.body)
    at = 1 if _is_docstring(lines[0]) else 0
    return body.with_changes(body=[*lines[:at], new, *lines[at:]])


def _is_docstring(line: Any) -> bool:
    return (
        isinstance(line, cst.SimpleStatementLine)
        and isinstance(line.body[0], cst.Expr)
        and isinstance(
            line.body[0].value, (cst.SimpleString, cst.ConcatenatedString)
        )
    )


def _of_data(function: cst.FunctionDef, data: str) -> str:
    keys = dict.fromkeys(
        code(x.slice[0].slice)
        for x in of_type(function.body, cst.Subscript)
        if dotted(x.value) == data and len(x.slice) == 1
    )
    said = 'the batch is what the data preprocessor returns'
    if not keys:
        return said
    return f'{said}: it has to have {", ".join(keys)}'


RULE = Rule('signature', 'the signature of train_step', apply, ('train_step',))
