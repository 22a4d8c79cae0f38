"""Training steps of 0.x: which functions are one, and what they do."""

import ast
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import libcst as cst

from .blocks import replace
from .names import bound_names, code, dotted, find, of_type
from .notes import is_marked

RUNNER_ARGUMENTS = (
    'ddp_reducer',
    'loss_scaler',
    'use_apex_amp',
    'running_status',
)
"""What MMGeneration's runner passed on top of the data and the optimizer."""


class TrainStep(NamedTuple):
    """A ``train_step`` of 0.x.

    Args:
        owner (cst.ClassDef): Its class.
        function (cst.FunctionDef): The method.
        data (str): What it calls the batch.
        optimizer (str): What it calls the optimizer, or the dict of them.
    """

    owner: cst.ClassDef
    function: cst.FunctionDef
    data: str
    optimizer: str


def train_steps(module: cst.Module) -> Iterator[TrainStep]:
    """Yield the training steps of a file that are still those of 0.x.

    One that has a mark is somebody's to finish by hand, and left out.
    """
    for owner in of_type(module, cst.ClassDef):
        if not isinstance(owner.body, cst.IndentedBlock):
            continue
        for node in owner.body.body:
            step = as_train_step(owner, node)
            if step and not is_marked(step.function):
                yield step


def as_train_step(owner: cst.ClassDef, node: Any) -> TrainStep | None:
    """Read a method as a training step of 0.x, if it is one."""
    if not isinstance(node, cst.FunctionDef):
        return None
    names = [x.name.value for x in node.params.params]
    if node.name.value != 'train_step' or len(names) < 3:
        return None
    if names[2] not in ('optimizer', 'optimizers'):
        return None
    return TrainStep(owner, node, names[1], names[2])


def change(
    module: cst.Module, edit: Callable[[TrainStep], cst.FunctionDef]
) -> cst.Module:
    """Give every training step of 0.x in a file another function."""
    new = {step.function: edit(step) for step in train_steps(module)}
    return replace(
        module, {old: [new] for old, new in new.items() if old is not new}
    )


def key_of(node: cst.CSTNode, optimizer: str) -> str | None:
    """Return the source of ``KEY`` in ``optimizer[KEY]``.

    Empty for ``optimizer`` itself, None for all else.
    """
    if isinstance(node, cst.Name) and node.value == optimizer:
        return ''
    if (
        isinstance(node, cst.Subscript)
        and dotted(node.value) == optimizer
        and len(node.slice) == 1
        and isinstance(node.slice[0].slice, cst.Index)
    ):
        value = node.slice[0].slice.value
        if isinstance(value, cst.SimpleString):
            text = value.evaluated_value
            if isinstance(text, str) and text.isidentifier():
                return code(value)
    return None


def network_of(key: str) -> str:
    """Return the network that an optimizer trains, as source.

    0.x looked each network up under the name of its optimizer.
    """
    return f'self.{ast.literal_eval(key)}' if key else 'self'


def wrapper_of(optimizer: str, key: str) -> str:
    """Write ``optimizer[KEY]``, or ``optimizer`` if there is one only."""
    return f'{optimizer}[{key}]' if key else optimizer


def calls_of(node: cst.CSTNode, method: str) -> list[cst.Call]:
    """Return the calls of any object's method of that name."""
    return find(
        node,
        lambda x: (
            isinstance(x, cst.Call)
            and isinstance(x.func, cst.Attribute)
            and x.func.attr.value == method
        ),
    )


def rebinds(step: TrainStep) -> bool:
    """Tell whether a step puts something else in its optimizer's place."""
    return step.optimizer in bound_names(step.function.body)
