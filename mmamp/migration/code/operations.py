"""What a statement of a training step does to an optimizer."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import libcst as cst

from .names import code, dotted, of_type
from .qualified import Names
from .train_steps import key_of

ZERO, BACKWARD, STEP, DIVIDE = 'zero_grad', 'backward', 'step', 'divide'
SCALER, APEX = 'loss_scaler', 'use_apex_amp'
SCALE_LOSS = {'apex.amp.scale_loss', 'amp.scale_loss'}


class Operation(NamedTuple):
    """One thing that is done.

    Args:
        kind (str): ``ZERO``, ``BACKWARD``, ``STEP``, or ``DIVIDE`` for the
            division of a loss by the number of micro-batches.
        key (str, optional): Of the optimizer, as source; empty if there is
            only one. None where the statement does not say.
        loss (str): Of a backward pass or a division, as source.
        keywords (str): Of the backward pass, as source.
        accumulates (str): The number of micro-batches that the operation
            waits for, as source; empty if it waits for none.
    """

    kind: str
    key: str | None = None
    loss: str = ''
    keywords: str = ''
    accumulates: str = ''


class Recognizer:
    """Tells what statements do.

    Args:
        optimizer (str): What the function calls its optimizer, or the dict
            of them.
        names (Names): What the names of the file are.
    """

    def __init__(self, optimizer: str, names: Names) -> None:
        self.optimizer = optimizer
        self.names = names

    def operations(self, statement: cst.CSTNode) -> list[Operation] | None:
        """Tell what a statement does; None if it does something else too.

        An empty list is a statement that only serves the loss scale.
        """
        if isinstance(statement, cst.SimpleStatementLine):
            if len(statement.body) != 1:
                return None
            return self._simple(statement.body[0])
        if isinstance(statement, cst.With):
            return self._apex(statement)
        if isinstance(statement, cst.If):
            if _tests(statement.test, (SCALER, APEX)):
                return self._alternatives(statement)
            return self._waiting(statement)
        return None

    def _block(self, statements: Sequence[Any]) -> list[Operation] | None:
        done: list[Operation] = []
        for statement in statements:
            operations = self.operations(statement)
            if operations is None:
                return None
            done += operations
        return done

    def _simple(self, node: cst.CSTNode) -> list[Operation] | None:
        if isinstance(node, (cst.Import, cst.ImportFrom)):
            return [] if _is_of_apex(node) else None
        if isinstance(node, (cst.Assign, cst.AugAssign)):
            return _division(node)
        if not isinstance(node, cst.Expr):
            return None
        call = node.value
        if not isinstance(call, cst.Call):
            return None
        if not isinstance(call.func, cst.Attribute):
            return None
        return self._call(call, call.func.value, call.func.attr.value)

    def _call(
        self, call: cst.Call, on: cst.BaseExpression, method: str
    ) -> list[Operation] | None:
        if method == BACKWARD:
            return self._backward(on, call.args)
        if dotted(on) == SCALER:
            if method in ('unscale_', 'update'):
                return []
            if method == STEP and len(call.args) == 1:
                key = key_of(call.args[0].value, self.optimizer)
                return None if key is None else [Operation(STEP, key)]
            return None
        key = key_of(on, self.optimizer)
        if key is None or method not in (ZERO, STEP):
            return None
        if call.args and method == STEP:
            return None
        return [Operation(method, key)]

    def _backward(
        self, loss: cst.BaseExpression, args: Sequence[cst.Arg]
    ) -> list[Operation] | None:
        if isinstance(loss, cst.Call):
            if dotted(loss.func) != f'{SCALER}.scale' or len(loss.args) != 1:
                return None
            loss = loss.args[0].value
        named = [(x.keyword.value, x.value) for x in args if x.keyword]
        if len(named) < len(args):
            return None
        keywords = ', '.join(f'{key}={code(value)}' for key, value in named)
        return [Operation(BACKWARD, loss=code(loss), keywords=keywords)]

    def _apex(self, statement: cst.With) -> list[Operation] | None:
        """Read ``with amp.scale_loss(loss, optimizer) as scaled: ...``."""
        if len(statement.items) != 1:
            return None
        item = statement.items[0]
        call = item.item
        if (
            not isinstance(call, cst.Call)
            or not self.names.is_one_of(call.func, SCALE_LOSS)
            or len(call.args) < 2
            or item.asname is None
        ):
            return None
        inner = self._block(statement.body.body)
        scaled = code(item.asname.name).strip()
        if inner is None or [x.loss for x in inner] != [scaled]:
            return None
        key = key_of(call.args[1].value, self.optimizer)
        loss = code(call.args[0].value)
        return [inner[0]._replace(key=key, loss=loss)]

    def _alternatives(self, statement: cst.If) -> list[Operation] | None:
        """Read branches that do the same with and without a loss scale."""
        branches = [self._block(x) for x in _branches(statement)]
        if any(branch is None for branch in branches):
            return None
        found = [branch for branch in branches if branch is not None]
        if not any(found):
            return []
        if not _has_else(statement):
            return None
        first = found[0]
        for other in found[1:]:
            if len(other) != len(first) or not all(
                a.kind == b.kind and a.loss == b.loss and _agree(a.key, b.key)
                for a, b in zip(first, other, strict=True)
            ):
                return None
        return [
            x._replace(key=next((b[i].key for b in found if b[i].key), x.key))
            for i, x in enumerate(first)
        ]

    def _waiting(self, statement: cst.If) -> list[Operation] | None:
        """Read ``if i % self.batch_accumulation_steps == 0: ...``."""
        number = _is_multiple_of(statement.test)
        if statement.orelse or not number:
            return None
        inner = self._block(statement.body.body)
        if not inner or any(x.kind not in (ZERO, STEP) for x in inner):
            return None
        return [x._replace(accumulates=number) for x in inner]


def _is_of_apex(node: cst.Import | cst.ImportFrom) -> bool:
    modules = (
        [node.module]
        if isinstance(node, cst.ImportFrom)
        else [x.name for x in node.names]
    )
    return all(dotted(x).partition('.')[0] == 'apex' for x in modules)


def _tests(node: cst.CSTNode, names: Sequence[str]) -> bool:
    """Tell whether a test asks if one of the names is there."""
    return code(node) in {
        *names,
        *(f'{name} is not None' for name in names),
        *(f'{name} is None' for name in names),
    }


def _branches(statement: cst.If) -> Iterator[Sequence[Any]]:
    yield statement.body.body
    if isinstance(statement.orelse, cst.If):
        yield from _branches(statement.orelse)
    elif statement.orelse:
        yield statement.orelse.body.body


def _has_else(statement: cst.If) -> bool:
    if isinstance(statement.orelse, cst.If):
        return _has_else(statement.orelse)
    return statement.orelse is not None


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def is_count(node: cst.CSTNode) -> str:
    """Return a number of micro-batches as source; empty if it is none."""
    name = dotted(node)
    return name if 'accum' in name else ''


def _is_multiple_of(test: cst.CSTNode) -> str:
    if (
        isinstance(test, cst.Comparison)
        and len(test.comparisons) == 1
        and isinstance(test.comparisons[0].operator, cst.Equal)
        and code(test.comparisons[0].comparator) == '0'
        and isinstance(test.left, cst.BinaryOperation)
        and isinstance(test.left.operator, cst.Modulo)
    ):
        return is_count(test.left.right)
    return ''


def _division(node: cst.Assign | cst.AugAssign) -> list[Operation] | None:
    """Read ``loss = loss / float(n)`` and ``loss /= n``."""
    if isinstance(node, cst.AugAssign):
        is_division = isinstance(node.operator, cst.DivideAssign)
        target, by = node.target, node.value
    else:
        value = node.value
        if not (
            len(node.targets) == 1
            and isinstance(value, cst.BinaryOperation)
            and isinstance(value.operator, cst.Divide)
        ):
            return None
        target, by = node.targets[0].target, value.right
        is_division = bool(dotted(target)) and (
            dotted(target) == dotted(value.left)
        )
    if isinstance(by, cst.Call) and dotted(by.func) == 'float' and by.args:
        by = by.args[0].value
    number = is_count(by)
    if not is_division or not number:
        return None
    return [Operation(DIVIDE, loss=dotted(target), accumulates=number)]


def mentions(node: cst.CSTNode, name: str) -> bool:
    """Tell whether a variable of that name is in a tree."""
    return any(x.value == name for x in of_type(node, cst.Name))
