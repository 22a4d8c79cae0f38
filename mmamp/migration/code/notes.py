"""What the rules say of their work, and where in the file it was."""

from typing import TypeVar

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from mmamp.migration.findings import MARK, Finding, Outcome

from .tree import walk

Statement = TypeVar('Statement', bound=cst.CSTNode)


class Notes:
    """The findings of one file, gathered while its rules run.

    Rules hand in nodes; a node that a rule has rebuilt is found again by what
    is in it, since nodes that stay keep their identity.

    Args:
        module (cst.Module): The file as it was.

    Attributes:
        findings (list[Finding]): So far.
        rules (list[str]): ``PrecisionHook`` rules so far, as source text.
        rule (str): Name of the rule at work.
    """

    def __init__(self, module: cst.Module) -> None:
        # Held, since a line is looked up by the identity of a node.
        self._module = module
        positions = MetadataWrapper(module, unsafe_skip_copy=True).resolve(
            PositionProvider
        )
        self._lines = {
            id(node): place.start.line for node, place in positions.items()
        }
        self.findings: list[Finding] = []
        self.rules: list[str] = []
        self.rule = ''

    def line(self, node: cst.CSTNode | None) -> int:
        """The line of a node in the file as it was; 0 if it is a new one."""
        if node is None:
            return 0
        found = (self._lines.get(id(child)) for child in walk(node))
        return self._lines.get(id(node)) or next(filter(None, found), 0)

    def add(
        self, node: cst.CSTNode | None, outcome: Outcome, reason: str
    ) -> None:
        """Say something of a node, or with None of the whole file."""
        finding = Finding(self.line(node), self.rule, outcome, reason)
        if finding not in self.findings:
            self.findings.append(finding)

    def changed(self, node: cst.CSTNode | None, reason: str) -> None:
        """Say what a node was converted to."""
        self.add(node, Outcome.CHANGED, reason)

    def warned(self, node: cst.CSTNode | None, reason: str) -> None:
        """Say what the converted code does otherwise than before."""
        self.add(node, Outcome.WARNED, reason)

    def outside(self, node: cst.CSTNode | None, reason: str) -> None:
        """Say that something is not among what the tool converts."""
        self.add(node, Outcome.OUTSIDE, reason)

    def todo(
        self,
        statement: Statement,
        reason: str,
        where: cst.CSTNode | None = None,
    ) -> Statement:
        """Mark a statement that is left as it stands.

        Args:
            statement (cst.CSTNode): It must have ``leading_lines``.
            reason (str): One line.
            where (cst.CSTNode, optional): What in it is the matter. Defaults
                to None: the statement.

        Returns:
            cst.CSTNode: The statement under a comment, unless it is under
            that comment already.
        """
        text = f'# {MARK}: {reason}'
        if text in self._comments_above(statement):
            return statement
        self.add(where or statement, Outcome.TODO, reason)
        mark = cst.EmptyLine(comment=cst.Comment(text))
        lines = [*statement.leading_lines, mark]  # type: ignore[attr-defined]
        return statement.with_changes(leading_lines=lines)

    def _comments_above(self, statement: cst.CSTNode) -> list[str]:
        lines = list(statement.leading_lines)  # type: ignore[attr-defined]
        body = self._module.body
        if body and self.line(statement) == self.line(body[0]):
            # What is above the first statement belongs to the module.
            lines += self._module.header
        return [line.comment.value for line in lines if line.comment]


def is_marked(statement: cst.CSTNode) -> bool:
    """Whether something is left to do at a statement."""
    lines = getattr(statement, 'leading_lines', ())
    return any(x.comment and MARK in x.comment.value for x in lines)
