"""Trees walked and changed without copies of what stays as it is.

LibCST's own visitors rebuild every node that they pass: slow, and lines are
looked up, and statements told apart, by identity.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any

import libcst as cst

_SPACE = (
    cst.BaseParenthesizableWhitespace,
    cst.TrailingWhitespace,
    cst.EmptyLine,
    cst.Newline,
)


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(x.name for x in fields(kind))


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield the nodes right below one, white space and comments too."""
    for name in _field_names(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, (list, tuple)):
            for item in value:
                if isinstance(item, cst.CSTNode):
                    yield item


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield a tree without white space and comments, outer nodes first."""
    yield node
    for child in children(node):
        if not isinstance(child, _SPACE):
            yield from walk(child)


def comments(node: cst.CSTNode) -> list[cst.Comment]:
    """Return the comments of a tree."""
    if isinstance(node, cst.Comment):
        return [node]
    return [x for child in children(node) for x in comments(child)]


class Transformer(cst.CSTTransformer):
    """Goes where something is to be changed, and nowhere else.

    Args:
        tree (cst.CSTNode): The tree that it is for.
        is_wanted (Callable[[cst.CSTNode], bool]): Nodes that are to change.
    """

    def __init__(
        self,
        tree: cst.CSTNode,
        is_wanted: Callable[[Any], bool],
    ) -> None:
        super().__init__()
        self._paths: set[int] = set()
        self._find(tree, is_wanted)

    def _find(
        self, node: cst.CSTNode, is_wanted: Callable[[Any], bool]
    ) -> bool:
        # Every child is looked at, so no short cut.
        below = [
            self._find(child, is_wanted)
            for child in children(node)
            if not isinstance(child, _SPACE)
        ]
        found = is_wanted(node) or any(below)
        if found:
            self._paths.add(id(node))
        return found

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Go below a node only if there is something to change."""
        return id(node) in self._paths and super().on_visit(node)

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        """Leave alone what is on no path."""
        if id(original_node) not in self._paths:
            return original_node
        return super().on_leave(original_node, updated_node)
