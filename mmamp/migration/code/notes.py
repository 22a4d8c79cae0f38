"""What the rules say of their work, and where in the file it was."""

from typing import TypeVar

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from mmamp.migration.findings import MARK, Findings, Outcome
from mmamp.migration.project import Project

from .qualified import Names
from .tree import walk

Statement = TypeVar('Statement', bound=cst.CSTNode)


class Notes(Findings[cst.CSTNode | None, cst.CSTNode]):
    """The findings of one file, gathered while its rules run.

    Rules hand in nodes; a node that a rule has rebuilt is found again by what
    is in it, since nodes that stay keep their identity.

    Args:
        module (cst.Module): The file as it was.
        project (Project): What is known beside it. Defaults to nothing.

    Attributes:
        rules (list[str]): ``PrecisionHook`` rules so far, as source text.
    """

    def __init__(
        self, module: cst.Module, project: Project | None = None
    ) -> None:
        super().__init__()
        self.project = project or Project()
        # Held, since a line is looked up by the identity of a node.
        self._module = module
        positions = MetadataWrapper(module, unsafe_skip_copy=True).resolve(
            PositionProvider
        )
        self._lines = {
            id(node): place.start.line for node, place in positions.items()
        }
        self.rules: list[str] = []
        self._names = Names(module)

    def line(self, place: cst.CSTNode | None) -> int:
        """Find the line of a node in the file as it was.

        Args:
            place (cst.CSTNode, optional): None stands for the whole file.

        Returns:
            int: 0 for the whole file, and for a node that is new.
        """
        if place is None:
            return 0
        found = (self._lines.get(id(child)) for child in walk(place))
        return self._lines.get(id(place)) or next(filter(None, found), 0)

    def names(self, module: cst.Module) -> Names:
        """Find out what the names of a file are, once for each state of it.

        Args:
            module (cst.Module): The file as it is by now.
        """
        if self._names.module is not module:
            self._names = Names(module)
        return self._names

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
        self.say(where or statement, Outcome.TODO, reason)
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
    """Tell whether something is left to do at a statement."""
    lines = getattr(statement, 'leading_lines', ())
    return any(x.comment and MARK in x.comment.value for x in lines)
