"""Methods that run ``backward()`` for ``train_step`` get the wrapper.

``train_step`` called ``zero_grad``, a method that ends with the backward
pass, and ``step``. The method calls ``update_params`` now.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import libcst as cst

from mmamp.migration.code.blocks import replace, statement
from mmamp.migration.code.contexts import Contexts
from mmamp.migration.code.names import code, dotted, of_type, swap, variables
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.operations import BACKWARD, STEP, ZERO, Recognizer
from mmamp.migration.code.qualified import Names
from mmamp.migration.code.rounds import Event, Survey, Undecidable
from mmamp.migration.code.train_steps import (
    TrainStep,
    network_of,
    train_steps,
    wrapper_of,
)
from mmamp.migration.rule import Rule

WRAPPER = 'optim_wrapper'


class _Use(NamedTuple):
    """A call of a method that runs backward, between two statements."""

    step: TrainStep
    key: str
    zero: Any
    call: cst.Call
    end: Any


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    news: dict[cst.CSTNode, cst.CSTNode] = {}
    gone: dict[cst.CSTNode, list[Any]] = {}
    names = notes.names(module)
    for step in train_steps(module):
        methods = {
            x.name.value: x
            for x in step.owner.body.body
            if isinstance(x, cst.FunctionDef)
        }
        for use in _uses(step, names):
            method = methods.get(dotted(use.call.func).removeprefix('self.'))
            if method is None or not _is_only_use(module, use):
                continue
            new = _method(method, use, notes, names)
            if new is None:
                continue
            news[method] = new
            news[use.call] = _call(use)
            gone.update({use.zero: [], use.end: []})
    # First what is inside of the training steps, since it replaces nodes.
    return swap(replace(module, gone), news)


def _uses(step: TrainStep, names: Names) -> Iterator[_Use]:
    """Find ``zero_grad``, one call of a model's method, and ``step``."""
    recognizer = Recognizer(step.optimizer, names)
    for block in of_type(step.function, cst.IndentedBlock):
        lines = list(block.body)
        for zero, line, end in zip(lines, lines[1:], lines[2:], strict=False):
            ends = [recognizer.operations(x) for x in (zero, end)]
            if not all(x and len(x) == 1 for x in ends):
                continue
            first, last = (x[0] for x in ends if x)
            if (first.kind, last.kind) != (ZERO, STEP):
                continue
            if first.key != last.key or not first.key:
                continue
            calls = [
                x
                for x in of_type(line, cst.Call)
                if dotted(x.func).startswith('self.')
            ]
            if len(calls) == 1:
                yield _Use(step, first.key, zero, calls[0], end)


def _is_only_use(module: cst.Module, use: _Use) -> bool:
    name = dotted(use.call.func)
    found = [x for x in of_type(module, cst.Attribute) if dotted(x) == name]
    return len(found) == 1 and not any(x.star for x in use.call.args)


def _call(use: _Use) -> cst.Call:
    """Pass the wrapper to the call."""
    wrapper = wrapper_of(use.step.optimizer, use.key)
    no_space = cst.SimpleWhitespace('')
    new = cst.Arg(
        cst.parse_expression(wrapper),
        keyword=cst.Name(WRAPPER),
        equal=cst.AssignEqual(no_space, no_space),
    )
    args = list(use.call.args)
    if args:
        space = cst.Comma(whitespace_after=cst.SimpleWhitespace(' '))
        if not isinstance(args[-1].comma, cst.Comma):
            args[-1] = args[-1].with_changes(comma=space)
    return use.call.with_changes(args=[*args, new])


def _method(
    method: cst.FunctionDef, use: _Use, notes: Notes, names: Names
) -> cst.FunctionDef | None:
    """Have the method take the wrapper; None if it is not understood."""
    params = method.params
    if WRAPPER in variables(method) or not _are_plain(params):
        return None
    try:
        survey = Survey(method, WRAPPER, names)
    except Undecidable:
        return None
    events = survey.events
    if not events or any(
        x.operation.kind != BACKWARD
        or x.operation.keywords
        or x.blocks != events[0].blocks
        or len(x.blocks) > 1
        for x in events
    ):
        return None
    losses = {x.operation.loss for x in events[:-1]}
    after = survey.between(events[0].statement, events[-1].statement)
    if any(
        code(x.target) in losses
        for node in after
        for x in of_type(node, cst.AugAssign)
    ):
        return None
    new = replace(method, _updates(events, variables(method)))
    network = network_of(use.key)
    new = Contexts(new, WRAPPER, notes, names, network).function
    last = params.params[-1]
    if not isinstance(last.comma, cst.Comma):
        space = cst.Comma(whitespace_after=cst.SimpleWhitespace(' '))
        last = last.with_changes(comma=space)
    added = cst.Param(cst.Name(WRAPPER))
    notes.warned(
        method,
        f'{method.name.value} takes optim_wrapper, and updates: a subclass '
        'in another file that has or calls it has to follow',
    )
    return new.with_changes(
        params=params.with_changes(params=[*params.params[:-1], last, added])
    )


def _are_plain(params: cst.Parameters) -> bool:
    return (
        bool(params.params)
        and not params.kwonly_params
        and not params.posonly_params
        and params.star_kwarg is None
        and not isinstance(params.star_arg, (cst.Param, cst.ParamStar))
        and not any(x.default for x in params.params)
    )


def _updates(
    events: list[Event], taken: set[str]
) -> dict[cst.CSTNode, Sequence[Any]]:
    """Update once with the sum of the losses, where the last one was."""
    total = 'total_loss'
    while total in taken:
        total += '_sum'
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    *others, last = events
    for i, event in enumerate(others):
        loss = event.operation.loss
        text = f'{total} + {loss}' if i else loss
        actions[event.statement] = [
            statement(f'{total} = {text}', event.statement.leading_lines)
        ]
    loss = last.operation.loss
    text = f'{total} + {loss}' if others else loss
    actions[last.statement] = [
        statement(
            f'{WRAPPER}.update_params({text})', last.statement.leading_lines
        )
    ]
    return actions


RULE = Rule(
    'backward_helpers',
    'methods that run backward() for train_step',
    apply,
    ('train_step',),
)
