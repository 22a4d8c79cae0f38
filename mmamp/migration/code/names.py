"""Names in a tree: read, found, renamed."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

import libcst as cst

from .tree import Transformer, children, walk

Node = TypeVar('Node', bound=cst.CSTNode)


def code(node: cst.CSTNode) -> str:
    """Return the source of a node."""
    return cst.Module([]).code_for_node(node)


def dotted(node: cst.CSTNode | None) -> str:
    """Return ``a.b.c`` of a name or its attributes; empty for others."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        head = dotted(node.value)
        return f'{head}.{node.attr.value}' if head else ''
    return ''


def find(node: cst.CSTNode, is_wanted: Callable[[Any], bool]) -> list[Any]:
    """Return the nodes of a tree that are wanted, outer ones first."""
    return [x for x in walk(node) if is_wanted(x)]


def of_type(node: cst.CSTNode, kind: type[Node]) -> list[Node]:
    """Return the nodes of a tree that are of a type, outer ones first."""
    return find(node, lambda x: isinstance(x, kind))


def variables(node: cst.CSTNode) -> set[str]:
    """Collect names read or bound, without attributes and keywords."""
    if isinstance(node, cst.Name):
        return {node.value}
    if isinstance(node, (cst.Attribute, cst.Arg)):
        return variables(node.value)
    return {x for child in children(node) for x in variables(child)}


def rename(node: Node, names: Mapping[str, str]) -> Node:
    """Give variables of a tree other names; keywords and attributes stay.

    Args:
        node (cst.CSTNode): The tree.
        names (Mapping[str, str]): Old names and new ones.
    """
    found = [x for x in variable_nodes(node) if x.value in names]
    news: dict[cst.CSTNode, cst.CSTNode] = {
        x: x.with_changes(value=names[x.value]) for x in found
    }
    return swap(node, news)


def variable_nodes(node: cst.CSTNode) -> Iterator[cst.Name]:
    """Yield where names are read or bound, imports left aside."""
    if isinstance(node, cst.Name):
        yield node
    elif isinstance(node, (cst.Attribute, cst.Arg)):
        yield from variable_nodes(node.value)
    elif not isinstance(node, (cst.Import, cst.ImportFrom)):
        for child in children(node):
            yield from variable_nodes(child)


def bound_names(node: cst.CSTNode) -> set[str]:
    """Collect what a tree binds: targets, parameters, functions, classes."""
    return {name for x in walk(node) for name in _bound_by(x)}


def _bound_by(node: Any) -> Iterator[str]:
    if isinstance(node, _WITH_TARGET):
        yield from _target_names(node.target)
    elif isinstance(node, _WITH_NAME):
        yield from _target_names(node.name)
    elif isinstance(node, (cst.Global, cst.Nonlocal)):
        for item in node.names:
            yield from _target_names(item.name)


_WITH_TARGET = (
    cst.AssignTarget,
    cst.AnnAssign,
    cst.AugAssign,
    cst.NamedExpr,
    cst.For,
    cst.CompFor,
    cst.Del,
)
_WITH_NAME = (
    cst.AsName,
    cst.Param,
    cst.FunctionDef,
    cst.ClassDef,
    cst.MatchAs,
)


def _target_names(node: cst.CSTNode | None) -> Iterator[str]:
    if isinstance(node, cst.Name):
        yield node.value
    elif isinstance(node, (cst.Tuple, cst.List)):
        for element in node.elements:
            yield from _target_names(element.value)


def swap(node: Node, news: Mapping[cst.CSTNode, cst.CSTNode]) -> Node:
    """Put other nodes in the places of some.

    Args:
        node (cst.CSTNode): The tree.
        news (Mapping[cst.CSTNode, cst.CSTNode]): Nodes of it, told apart by
            identity, and what takes the place of each.
    """
    return cast(Node, node.visit(_Swap(node, news))) if news else node


class _Swap(Transformer):
    def __init__(
        self, tree: cst.CSTNode, news: Mapping[cst.CSTNode, cst.CSTNode]
    ) -> None:
        self.news = {id(old): new for old, new in news.items()}
        super().__init__(tree, lambda x: id(x) in self.news)

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        if id(original_node) in self.news:
            return self.news[id(original_node)]
        return super().on_leave(original_node, updated_node)
