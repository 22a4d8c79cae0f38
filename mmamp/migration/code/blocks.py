"""Statements taken out, put in and replaced; comments always stay."""

import io
import tokenize
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import libcst as cst

from .tree import Transformer, comments

Node = TypeVar('Node', bound=cst.CSTNode)
Statement = cst.BaseStatement
Lines = list[cst.EmptyLine]


def replace(
    node: Node, actions: Mapping[cst.CSTNode, Sequence[Statement]]
) -> Node:
    """Replace statements of a tree by others, or by none.

    Args:
        node (cst.CSTNode): The tree.
        actions (Mapping[cst.CSTNode, Sequence[Statement]]): Statements of it,
            told apart by identity, and what each becomes. A statement that
            becomes nothing leaves its comments; one that becomes another
            leaves those inside of it, its leading lines are the other's
            business.

    Returns:
        cst.CSTNode: The new tree.
    """
    if not actions:
        return node
    return cast(Node, node.visit(_Replace(node, actions)))


class _Replace(Transformer):
    def __init__(
        self,
        tree: cst.CSTNode,
        actions: Mapping[cst.CSTNode, Sequence[Statement]],
    ) -> None:
        self.actions = {id(key): value for key, value in actions.items()}
        super().__init__(tree, lambda x: id(x) in self.actions)

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        body, rest = self._edit(original_node.body, updated_node.body)
        if not any(id(s) in self.actions for s in original_node.body):
            return updated_node
        if not body:
            body, rest = [_with_lines(_pass(), rest)], []
        footer = [*rest, *updated_node.footer]
        return updated_node.with_changes(body=body, footer=footer)

    def leave_Module(
        self, original_node: cst.Module, updated_node: cst.Module
    ) -> cst.Module:
        if not any(id(s) in self.actions for s in original_node.body):
            return updated_node
        body, rest = self._edit(original_node.body, updated_node.body)
        footer = [*rest, *updated_node.footer]
        return updated_node.with_changes(body=body, footer=footer)

    def _edit(
        self, before: Sequence[Any], after: Sequence[Any]
    ) -> tuple[list[Any], Lines]:
        """Return the new statements, and the comments left at the end."""
        body: list[Any] = []
        carried: Lines = []
        for old, new in zip(before, after, strict=True):
            news = self.actions.get(id(old), [new])
            if not news:
                carried += [*old.leading_lines, *comments_in(old)]
                continue
            first, *others = news
            lost = _lost_comments(old, news) if id(old) in self.actions else []
            if carried or lost:
                lines = [*carried, *first.leading_lines, *lost]
                first = _with_lines(first, _tidy(lines, is_first=not body))
                carried = []
            body += [first, *others]
        return body, [x for x in carried if x.comment]


def _pass() -> cst.SimpleStatementLine:
    return cst.SimpleStatementLine([cst.Pass()])


def _with_lines(statement: Any, lines: Lines) -> Any:
    return statement.with_changes(leading_lines=lines)


def _tidy(lines: Lines, is_first: bool) -> Lines:
    """Leave no two blank lines in a row, none where a block begins."""
    kept: Lines = []
    for line in lines:
        after_blank = not kept[-1].comment if kept else is_first
        if line.comment or not after_blank:
            kept.append(line)
    return kept


def _lost_comments(old: cst.CSTNode, news: Sequence[cst.CSTNode]) -> Lines:
    """Return the comments that none of the replacements has."""
    kept = [text for new in news for text in comment_texts(new)]
    lost = []
    for text in comment_texts(old):
        if text in kept:
            kept.remove(text)
        else:
            lost.append(text)
    return _as_lines(lost)


def comments_in(statement: Any) -> Lines:
    """Return the comments in and behind a statement, not those above."""
    return _as_lines(comment_texts(_with_lines(statement, [])))


def _as_lines(texts: Sequence[str]) -> Lines:
    return [cst.EmptyLine(comment=cst.Comment(text)) for text in texts]


def comment_texts(node: cst.CSTNode) -> list[str]:
    """Return the comments of a node, from top to bottom."""
    return [x.value for x in comments(node)]


def comments_of_source(text: str) -> list[str]:
    """Return the comments of a source text.

    Args:
        text (str): Python that parses.

    Returns:
        list[str]: From top to bottom.
    """
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [x.string for x in tokens if x.type == tokenize.COMMENT]


def statement(code: str, lines: Sequence[cst.EmptyLine] = ()) -> Any:
    """Parse a statement.

    Args:
        code (str): One statement.
        lines (Sequence[cst.EmptyLine]): Blank lines and comments above it.
            Defaults to none.
    """
    return cst.parse_statement(code).with_changes(leading_lines=list(lines))
