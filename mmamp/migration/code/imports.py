"""Imports read, put in, split and taken out."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import libcst as cst

from .blocks import replace, statement
from .names import dotted, of_type, variable_nodes
from .tree import children

WIDTH = 79
"""Where an import is broken."""


class Origin(NamedTuple):
    """Where an imported name is from.

    Args:
        source (str): The module, with the dots of a relative import.
        name (str): The name there.
    """

    source: str
    name: str


def source_of(node: cst.ImportFrom) -> str:
    """Return the module of a ``from`` import, with dots if it is relative."""
    return '.' * len(node.relative) + dotted(node.module)


def aliases(node: cst.ImportFrom) -> list[tuple[str, str]]:
    """Return the names a ``from`` import takes, and their names here."""
    if isinstance(node.names, cst.ImportStar):
        return []
    return [
        (dotted(x.name), dotted(x.asname.name) if x.asname else dotted(x.name))
        for x in node.names
    ]


def origins(module: cst.Module) -> dict[str, Origin]:
    """Return where the names of a file's ``from`` imports are from."""
    return {
        here: Origin(source_of(node), there)
        for node in of_type(module, cst.ImportFrom)
        for there, here in aliases(node)
    }


def lone_imports(
    module: cst.Module,
) -> Iterator[tuple[cst.SimpleStatementLine, cst.ImportFrom]]:
    """Yield ``from`` imports that have a line of their own."""
    for line in of_type(module, cst.SimpleStatementLine):
        if len(line.body) == 1 and isinstance(line.body[0], cst.ImportFrom):
            yield line, line.body[0]


def used_names(module: cst.Module) -> set[str]:
    """Collect names that a file uses, apart from importing them."""
    used: set[str] = set()
    _use(module, used)
    return used


def _use(node: cst.CSTNode, used: set[str]) -> None:
    if isinstance(node, cst.Name):
        used.add(node.value)
    elif isinstance(node, cst.SimpleString):
        # __all__, annotations.
        used.add(node.raw_value)
    elif not isinstance(node, (cst.Import, cst.ImportFrom)):
        for child in children(node):
            _use(child, used)


def used_variables(module: cst.Module) -> set[str]:
    """Find names that a file uses, without attributes that are called so."""
    strings = {x.raw_value for x in of_type(module, cst.SimpleString)}
    return strings | {x.value for x in variable_nodes(module)}


def drop_unused(
    module: cst.Module, is_ours: Callable[[Origin], bool]
) -> cst.Module:
    """Take out imports that nothing uses any more.

    Args:
        module (cst.Module): The file.
        is_ours (Callable[[Origin], bool]): Which of them.
    """
    used = used_names(module)
    actions: dict[cst.CSTNode, list[Any]] = {}
    for line, node in lone_imports(module):
        if isinstance(node.names, cst.ImportStar):
            continue
        source = source_of(node)
        kept = [
            alias
            for alias, (there, here) in zip(
                node.names, aliases(node), strict=True
            )
            if here in used or not is_ours(Origin(source, there))
        ]
        if len(kept) == len(node.names):
            continue
        actions[line] = []
        if kept:
            # The alias stays the same node, so that its line is known.
            comma = cst.MaybeSentinel.DEFAULT
            kept[-1] = kept[-1].with_changes(comma=comma)
            new = node.with_changes(names=kept)
            actions[line] = [line.with_changes(body=[new])]
    return replace(module, actions)


def drop_freed(before: cst.Module, after: cst.Module) -> cst.Module:
    """Take out imports of modules that a conversion has left without a use.

    Args:
        before (cst.Module): The file before the conversion.
        after (cst.Module): The same after it.
    """
    freed = used_variables(before) - used_variables(after)
    if not freed:
        return after
    actions: dict[cst.CSTNode, list[Any]] = {
        line: []
        for line in of_type(after, cst.SimpleStatementLine)
        if bound_by_import(line) in freed
    }
    return replace(after, actions)


def bound_by_import(line: cst.CSTNode) -> str:
    """Tell which name an import binds that is on its own and binds one.

    Returns:
        str: ``a`` of ``import a.b``; empty for other statements.
    """
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return ''
    node = line.body[0]
    if not isinstance(node, (cst.Import, cst.ImportFrom)):
        return ''
    if isinstance(node.names, cst.ImportStar) or len(node.names) != 1:
        return ''
    alias = node.names[0]
    name = dotted(alias.asname.name if alias.asname else alias.name)
    return name.partition('.')[0]


def _above(line: cst.SimpleStatementLine, news: list[Any]) -> list[Any]:
    if not news:
        return []
    first = news[0].with_changes(leading_lines=line.leading_lines)
    return [first, *news[1:]]


def from_import(source: str, names: Iterable[tuple[str, str]]) -> Any:
    """Write a ``from`` import.

    Args:
        source (str): The module.
        names (Iterable[tuple[str, str]]): Names there and here.
    """
    texts = [a if a == b else f'{a} as {b}' for a, b in names]
    line = f'from {source} import {", ".join(texts)}'
    if len(line) > WIDTH:
        rows = ''.join(f'    {text},\n' for text in texts)
        line = f'from {source} import (\n{rows})'
    return statement(line)


def split_import(
    line: cst.SimpleStatementLine, rows: Iterable[tuple[str, str, str]]
) -> list[Any]:
    """Write an import from several modules in the place of one.

    Args:
        line (cst.SimpleStatementLine): The import.
        rows (Iterable[tuple[str, str, str]]): What is to be imported: module,
            name there, name here.
    """
    grouped: dict[str, list[tuple[str, str]]] = {}
    for source, there, here in rows:
        pairs = grouped.setdefault(source, [])
        if (there, here) not in pairs:
            pairs.append((there, here))
    return _above(line, [from_import(*item) for item in grouped.items()])


def add_import(module: cst.Module, source: str, name: str) -> cst.Module:
    """Import a name at the top of a file, unless it is imported there."""
    tops = [x for x in module.body if isinstance(x, cst.SimpleStatementLine)]
    for line, node in lone_imports(module):
        if line in tops and source_of(node) == source:
            names = aliases(node)
            if (name, name) in names:
                return module
            if names:
                new = from_import(source, [*names, (name, name)])
                return replace(module, {line: _above(line, [new])})
    return _put_imports(module, [from_import(source, [(name, name)])], None)


def add_module(
    module: cst.Module, sources: Iterable[str], below: Any
) -> cst.Module:
    """Import modules as a whole, unless that is done at the top of a file.

    Args:
        module (cst.Module): The file.
        sources (Iterable[str]): Modules.
        below (cst.CSTNode, optional): A statement at the top of the file to
            put the imports below. None: the last import that is there.
    """
    there = {
        dotted(alias.name)
        for line in module.body
        if isinstance(line, cst.SimpleStatementLine)
        for node in line.body
        if isinstance(node, cst.Import)
        for alias in node.names
        if alias.asname is None
    }
    news = [statement(f'import {x}') for x in sources if x not in there]
    return _put_imports(module, news, below)


def _put_imports(
    module: cst.Module, news: list[Any], below: Any
) -> cst.Module:
    if below is None:
        tops = module.body
        imports = [x for x in tops if isinstance(x, cst.SimpleStatementLine)]
        below = next(filter(_is_import, reversed(imports)), None)
    if below is not None:
        return replace(module, {below: [below, *news]})
    at = 1 if module.get_docstring() is not None else 0
    body = [*module.body[:at], *news, *module.body[at:]]
    return module.with_changes(body=body)


def _is_import(line: cst.SimpleStatementLine) -> bool:
    return all(isinstance(x, (cst.Import, cst.ImportFrom)) for x in line.body)


def drop_repeated(module: cst.Module, source: str) -> cst.Module:
    """Keep the first of equal imports from a module at the top of a file."""
    seen: set[tuple[str, str]] = set()
    actions: dict[cst.CSTNode, list[Any]] = {}
    tops = {id(x) for x in module.body}
    for line, node in lone_imports(module):
        if id(line) in tops and source_of(node) == source:
            if seen.issuperset(aliases(node)):
                actions[line] = []
            seen.update(aliases(node))
    return replace(module, actions)
