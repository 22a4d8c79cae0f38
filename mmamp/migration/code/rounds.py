"""Which backward passes belong to which step of which optimizer."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import libcst as cst

from .names import code, dotted, find, of_type
from .operations import (
    BACKWARD,
    DIVIDE,
    STEP,
    ZERO,
    Operation,
    Recognizer,
    is_count,
    mentions,
)
from .qualified import Names
from .train_steps import calls_of
from .tree import children


class Undecidable(Exception):
    """A function whose updates are not understood.

    Args:
        reason (str): For the mark that it gets.
        node (cst.CSTNode, optional): Where. Defaults to None.
    """


class Event(NamedTuple):
    """An operation and where it is.

    Args:
        operation (Operation): What is done.
        statement (cst.CSTNode): By what.
        blocks (tuple[cst.CSTNode, ...]): Around it, outermost first.
        around (tuple[cst.CSTNode, ...]): Compound statements around it.
    """

    operation: Operation
    statement: Any
    blocks: tuple[Any, ...]
    around: tuple[cst.BaseCompoundStatement, ...]


class Round(NamedTuple):
    """One update of one optimizer.

    Args:
        key (str): Of the optimizer, as source; empty if there is only one.
        backwards (list[Event]): Its backward passes.
        others (list[Event]): Steps, ``zero_grad``, divisions of the loss.
        step (Event): The step.
    """

    key: str
    backwards: list[Event]
    others: list[Event]
    step: Event

    @property
    def loop(self) -> cst.For | None:
        """The loop over micro-batches that holds the backward pass."""
        first = self.backwards[0]
        inner = first.around[len(self.step.around) :]
        if len(inner) == 1 and count_of(inner[0]):
            return cst.ensure_type(inner[0], cst.For)
        return None

    @property
    def accumulates(self) -> str:
        """The number of micro-batches to a step, as source, or nothing."""
        if self.loop:
            return count_of(self.loop)
        return self.step.operation.accumulates

    @property
    def is_plain(self) -> bool:
        """Whether there is one backward pass, right before the step."""
        return len(self.backwards) == 1 and (
            self.loop is not None
            or self.backwards[0].blocks == self.step.blocks
        )


def count_of(node: cst.CSTNode) -> str:
    """Return the number of micro-batches of a loop, as source."""
    if (
        isinstance(node, cst.For)
        and isinstance(node.iter, cst.Call)
        and dotted(node.iter.func) == 'range'
        and len(node.iter.args) == 1
    ):
        return is_count(node.iter.args[0].value)
    return ''


class Survey:
    """The events of a function, in the order of its lines.

    Args:
        function (cst.FunctionDef): The function.
        optimizer (str): What it calls its optimizer, or the dict of them.
        names (Names): What the names of the file are.

    Attributes:
        events (list[Event]): What was recognised.
        serving (list[cst.CSTNode]): Statements that only serve a loss scale.
        unknown (list[cst.CSTNode]): Statements that do with the optimizer
            what is not recognised.

    Raises:
        Undecidable: If gradients are made in a way that is not recognised.
    """

    def __init__(
        self, function: cst.FunctionDef, optimizer: str, names: Names
    ) -> None:
        self.optimizer = optimizer
        self.names = names
        self.recognizer = Recognizer(optimizer, names)
        self.events: list[Event] = []
        self.serving: list[Any] = []
        self.unknown: list[Any] = []
        self.order: list[Any] = []
        self._block(function.body, (), ())

    def _block(
        self,
        block: cst.BaseSuite,
        blocks: tuple[Any, ...],
        around: tuple[Any, ...],
    ) -> None:
        blocks = (*blocks, block)
        for statement in block.body:
            self.order.append(statement)
            operations = self.recognizer.operations(statement)
            if operations is None:
                self._other(statement, blocks, around)
            elif not operations:
                self.serving.append(statement)
            for operation in operations or ():
                self.events.append(Event(operation, statement, blocks, around))

    def _other(
        self,
        statement: Any,
        blocks: tuple[Any, ...],
        around: tuple[Any, ...],
    ) -> None:
        inner = list(blocks_of(statement))
        if not inner:
            self._simple(statement)
            return
        for node in heads_of(statement):
            self._simple(node)
        for block in inner:
            self._block(block, blocks, (*around, statement))

    def _simple(self, node: cst.CSTNode) -> None:
        if calls_of(node, BACKWARD) or any(
            'scale_loss' in spelled(x.func, self.names)
            for x in of_type(node, cst.Call)
        ):
            raise Undecidable('this backward pass is not understood', node)
        if mentions(node, self.optimizer) and not self._is_harmless(node):
            self.unknown.append(node)

    def _is_harmless(self, node: cst.CSTNode) -> bool:
        """Tell whether it asks for what an optimizer wrapper has as well."""
        uses = find(node, lambda x: mentions_directly(x, self.optimizer))
        groups = find(
            node,
            lambda x: (
                isinstance(x, cst.Attribute) and x.attr.value == 'param_groups'
            ),
        )
        handed = [
            x
            for x in of_type(node, cst.Arg)
            if x.keyword and x.keyword.value == 'optim_wrapper'
        ]
        parents = [
            x for x in calls_of(node, 'train_step') if 'super' in _name(x)
        ]
        return len(uses) == len(groups) + len(handed) + len(parents)

    def rounds(self) -> list[Round]:
        """Group the events into updates, in their order.

        Raises:
            Undecidable: If backward passes and steps do not match.
        """
        found: list[Round] = []
        waiting: list[Event] = []
        others: list[Event] = []
        for event in self.events:
            kind = event.operation.kind
            if kind == BACKWARD:
                waiting.append(event)
            elif kind != STEP:
                others.append(event)
            else:
                found.append(_round(event, waiting, others))
                waiting = []
                others = [x for x in others if x not in found[-1].others]
        if waiting:
            raise Undecidable(
                'a backward pass without a step', waiting[0].statement
            )
        for event in others:
            self._assign(event, found)
        return found

    def _assign(self, event: Event, found: list[Round]) -> None:
        """Find the round of what comes after its step."""
        if event.operation.kind == DIVIDE:
            return
        for candidate in reversed(found):
            if candidate.key == event.operation.key:
                candidate.others.append(event)
                return
        raise Undecidable('zero_grad without a step', event.statement)

    def between(self, one: Any, other: Any) -> list[Any]:
        """Return the statements between two, in the order of lines."""
        first = next(i for i, x in enumerate(self.order) if x is one)
        last = next(i for i, x in enumerate(self.order) if x is other)
        return self.order[first + 1 : last]


def _name(call: cst.Call) -> str:
    return code(call.func)


def _round(step: Event, waiting: list[Event], others: list[Event]) -> Round:
    key = step.operation.key or ''
    if not waiting:
        raise Undecidable(
            f'no backward pass before the step of {key or "the optimizer"}',
            step.statement,
        )
    for event in waiting:
        if event.operation.key not in (None, key):
            raise Undecidable(
                'a backward pass of another optimizer comes before the step '
                f'of {key}',
                event.statement,
            )
    losses = [x.operation.loss for x in waiting]
    mine = [
        x
        for x in others
        if (x.operation.kind == ZERO and x.operation.key == key)
        or (x.operation.kind == DIVIDE and x.operation.loss in losses)
    ]
    return Round(key, waiting, mine, step)


def blocks_of(statement: Any) -> Iterator[cst.IndentedBlock]:
    """Yield the blocks of a compound statement that the function runs."""
    if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
        return
    body = getattr(statement, 'body', None)
    if isinstance(body, cst.IndentedBlock):
        yield body
    for name in ('orelse', 'finalbody'):
        part = getattr(statement, name, None)
        if part is not None:
            yield from blocks_of(part)
    for name in ('handlers', 'cases'):
        for part in getattr(statement, name, ()):
            yield from blocks_of(part)


def heads_of(statement: Any) -> list[Any]:
    """Return what a compound statement evaluates apart from its blocks."""
    blocks = {id(x) for x in blocks_of(statement)}
    return _outside(statement, blocks)


def _outside(node: cst.CSTNode, blocks: set[int]) -> list[Any]:
    found: list[Any] = []
    for child in children(node):
        if id(child) in blocks:
            continue
        if isinstance(child, (cst.BaseExpression, cst.SimpleStatementSuite)):
            found.append(child)
        else:
            found += _outside(child, blocks)
    return found


def mentions_directly(node: Any, name: str) -> bool:
    """Tell whether a node is that variable."""
    return isinstance(node, cst.Name) and node.value == name


def returns(nodes: Sequence[cst.CSTNode]) -> bool:
    """Tell whether a function can be left at one of the nodes."""
    return any(of_type(node, cst.Return) for node in nodes)


def freezes(node: cst.CSTNode, names: Names) -> bool:
    """Tell whether a statement changes which parameters get gradients."""
    found = spelled(node, names)
    return any('requires_grad' in x or 'freeze' in x for x in found)


def spelled(node: cst.CSTNode, names: Names) -> set[str]:
    """Collect the names in a tree, also those where they are from."""
    found = of_type(node, cst.Name)
    return {x.value for x in found} | {names.last(x) for x in found}


HARMLESS = ('set_requires_grad', 'requires_grad', 'requires_grad_', 'no_grad')


def touches_gradients(
    nodes: Sequence[cst.CSTNode], names: Names
) -> cst.CSTNode | None:
    """Return the first of the nodes that reads or changes gradients."""
    for node in nodes:
        found = spelled(node, names)
        if any('grad' in x and x not in HARMLESS for x in found):
            return node
    return None
