"""A config file as it is written: its statements, values and bases."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import libcst as cst

from mmamp.migration.sources import check_source, parse_layout

from .environment import Environment
from .values import UNKNOWN, Value, is_known

BASE = '_base_'


@dataclass
class Source:
    """One config file.

    Args:
        path (Path): Of the file.
        module (cst.Module): Its text.
        values (dict[str, Value]): What its top-level assignments give, in
            order.
        bases (list[str]): As they are written in ``_base_``.
        unclear (dict[str, int]): Names that are set in more than one place,
            or by more than an assignment, and the line of the last one: what
            they are is known, but not where to change it.
    """

    path: Path
    module: cst.Module
    values: dict[str, Value] = field(default_factory=dict)
    bases: list[str] = field(default_factory=list)
    unclear: dict[str, int] = field(default_factory=dict)
    statements: dict[str, int] = field(default_factory=dict)
    """The last statement that touches a name, by its place in the file."""
    lines: list[int] = field(default_factory=list)
    """Where each statement begins."""
    ends: list[int] = field(default_factory=list)
    """Where each statement ends."""
    names: list[frozenset[str]] = field(default_factory=list)
    """The variables that each statement refers to; of an assignment what it
    assigns does."""
    text: str = ''
    """All of the file."""
    references: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """What values take of ``_base_``: their names, and the keys in it."""


def read(path: Path, text: str) -> Source:
    """Read a config without running it.

    Only what needs nothing but the file is evaluated: what is imported or
    opened is unknown.

    Args:
        path (Path): Of the file, for messages.
        text (str): What is in it.

    Returns:
        Source: Of the text.

    Raises:
        UnreadableSource: If it is no Python.
    """
    tree = check_source(path, text)
    module = parse_layout(path, text)
    source = Source(path, module, text=text)
    environment = Environment()
    reader = _Reader(environment)
    for index, (statement, nodes) in enumerate(_pairs(module, tree)):
        line = _line(nodes[0])
        source.lines.append(line)
        source.ends.append(nodes[-1].end_lineno or line)
        assigned = assignment(statement)
        names = map(read_names, nodes if assigned is None else ())
        source.names.append(frozenset().union(*names))
        touched = environment.run(nodes)
        source.statements |= dict.fromkeys(touched, index)
        if assigned is None:
            for name in touched & set(environment):
                source.unclear[name] = line
            continue
        name, expression = assigned
        same = cast(ast.Assign, nodes[0]).value
        if name in source.values:
            source.unclear[name] = line
        source.values[name] = reader.value(expression, same)
        source.names[-1] = source.values[name].names
        source.values[name].line = line
        if BASE in source.names[-1]:
            source.references += [(name, x) for x in _of_bases(expression)]
    for name, value in source.values.items():
        # One that has been changed under another name.
        now = environment.get(name, UNKNOWN)
        if value.is_known and is_known(now) and value.plain != now:
            source.unclear.setdefault(name, value.line)
    for name in source.unclear:
        source.values[name] = _of_plain(environment.get(name, UNKNOWN))
        source.values[name].line = source.unclear[name]
    bases = environment.get(BASE, [])
    bases = [bases] if isinstance(bases, str) else bases
    if isinstance(bases, (list, tuple)):
        source.bases = [x for x in bases if isinstance(x, str)]
    return source


def assignment(
    statement: cst.BaseStatement | cst.BaseSmallStatement,
) -> tuple[str, cst.BaseExpression] | None:
    """Return name and value of ``name = value``; None for all else."""
    if isinstance(statement, cst.SimpleStatementLine):
        if len(statement.body) != 1:
            return None
        small = statement.body[0]
        if (
            isinstance(small, cst.AnnAssign)
            and isinstance(small.target, cst.Name)
            and small.value is not None
        ):
            return small.target.value, small.value
        if not isinstance(small, cst.Assign) or len(small.targets) != 1:
            return None
        target = small.targets[0].target
        if isinstance(target, cst.Name):
            return target.value, small.value
    return None


def is_import(statement: cst.CSTNode) -> bool:
    """Tell whether a statement imports something, and does nothing else."""
    return isinstance(statement, cst.SimpleStatementLine) and all(
        isinstance(x, (cst.Import, cst.ImportFrom)) for x in statement.body
    )


def entries(
    node: cst.BaseExpression,
) -> list[tuple[str, cst.BaseExpression, cst.CSTNode]] | None:
    """Return keys, values, elements of a dict written out, or None."""
    found: list[tuple[str, cst.BaseExpression, cst.CSTNode]] = []
    if isinstance(node, cst.Call):
        if not isinstance(node.func, cst.Name) or node.func.value != 'dict':
            return None
        for arg in node.args:
            if arg.keyword is None or arg.star:
                return None
            found.append((arg.keyword.value, arg.value, arg))
        return found
    if isinstance(node, cst.Dict):
        for element in node.elements:
            key = getattr(element, 'key', None)
            if not isinstance(key, cst.SimpleString):
                return None
            name = key.evaluated_value
            if not isinstance(name, str):
                return None
            found.append((name, element.value, element))
        return found
    return None


def _of_bases(node: cst.BaseExpression) -> set[tuple[str, ...]]:
    """Find the keys of every ``_base_.a.b`` in an expression."""
    code = cst.Module([]).code_for_node(node)
    return {
        tuple(found[1:].split('.'))
        for found in re.findall(rf'\b{BASE}((?:\.\w+)+)', code)
    }


def _pairs(
    module: cst.Module, tree: ast.Module
) -> Iterator[tuple[Any, list[ast.stmt]]]:
    """Yield each statement of a file as LibCST and as Python has it."""
    left = list(tree.body)
    for statement in module.body:
        number = 1
        if isinstance(statement, cst.SimpleStatementLine):
            number = len(statement.body)
        yield statement, left[:number]
        del left[:number]


def _line(node: ast.stmt) -> int:
    """Find where a statement begins, its decorators included."""
    decorators: list[ast.expr] = getattr(node, 'decorator_list', [])
    return min([node.lineno, *(x.lineno for x in decorators)])


class _Reader:
    """Makes values of expressions."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def value(self, node: cst.BaseExpression, same: ast.expr) -> Value:
        """Make a value of an expression, as LibCST and as Python has it."""
        found = self._value(node, same)
        found.source = node
        found.line = same.lineno
        if all(x.source is None for x in found.children):
            # Not written out here, though it may be known.
            found.names = read_names(same)
        else:
            found.names = frozenset().union(*(x.names for x in found.children))
        return found

    def _value(self, node: cst.BaseExpression, same: ast.expr) -> Value:
        written = entries(node)
        if written is not None:
            inner = (
                [x.value for x in same.keywords]
                if isinstance(same, ast.Call)
                else cast(ast.Dict, same).values
            )
            items = {
                key: self.value(child, x)
                for (key, child, _), x in zip(written, inner, strict=True)
            }
            return Value(items=items, written=items)
        if (
            isinstance(same, ast.List)
            and isinstance(node, cst.List)
            and not any(isinstance(x, ast.Starred) for x in same.elts)
        ):
            pairs = zip(node.elements, same.elts, strict=True)
            elements = [self.value(x.value, y) for x, y in pairs]
            return Value(elements=elements, written=elements)
        return _of_plain(self.environment.evaluate(same))


def read_names(node: ast.AST) -> frozenset[str]:
    """Return the variables that a piece of a tree refers to."""
    if isinstance(node, ast.Constant):
        return frozenset()
    return frozenset(x.id for x in ast.walk(node) if isinstance(x, ast.Name))


def _of_plain(plain: Any) -> Value:
    if isinstance(plain, dict) and all(isinstance(k, str) for k in plain):
        items = {k: _of_plain(v) for k, v in plain.items()}
        # What is not written out cannot be edited, only written anew.
        return Value(items=items, written=items)
    return Value(plain)
