"""What a migration did, file by file and line by line."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Generic, TypeVar

Place = TypeVar('Place')
Statement = TypeVar('Statement')

MARK = 'TODO(mmamp migrate)'
"""What a comment begins with that marks something left to do."""
COMMENTS = 'comments'
"""Of which rule a finding is that tells a comment which is in no file now."""


class Outcome(Enum):
    """What became of a place that a rule looked at."""

    CHANGED = 'changed'
    """Converted; the reason says to what, where that is not plain."""
    WARNED = 'warned'
    """Converted, and behaves otherwise than before in a way to know of."""
    TODO = 'to do'
    """Left as it stands, and marked in the file."""
    OUTSIDE = 'outside'
    """Left as it stands: not among what the tool converts."""


@dataclass(frozen=True)
class Finding:
    """One thing to say of one place.

    Args:
        line (int): Of the file as it was, from 1; 0 for the whole file.
        rule (str): Name of the rule, the name of its file.
        outcome (Outcome): What became of it.
        reason (str): One sentence for the person who goes on from here.
    """

    line: int
    rule: str
    outcome: Outcome
    reason: str


class Findings(ABC, Generic[Place, Statement]):
    """What the rules say of one file, gathered while they run.

    Attributes:
        findings (list[Finding]): So far.
        rule (str): Name of the rule at work.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.rule = ''

    @abstractmethod
    def line(self, place: Place) -> int | None:
        """Find the line of a place in the file as it was.

        Returns:
            int: 0 for the whole file; None for what is not in the file, of
            which nothing is said.
        """

    @abstractmethod
    def todo(
        self, statement: Statement, reason: str, where: Place | None = None
    ) -> object:
        """Say that a statement is left to do, and have it marked.

        Args:
            statement (Statement): Which is left as it stands.
            reason (str): Why, and what it might become.
            where (Place, optional): What in it is the matter. Defaults to
                None: the statement.
        """

    def say(self, place: Place, outcome: Outcome, reason: str) -> None:
        """Say something of a place, unless that has been said."""
        line = self.line(place)
        if line is None:
            return
        finding = Finding(line, self.rule, outcome, reason)
        if finding not in self.findings:
            self.findings.append(finding)

    def changed(self, place: Place, reason: str) -> None:
        """Say what a place was converted to."""
        self.say(place, Outcome.CHANGED, reason)

    def warned(self, place: Place, reason: str) -> None:
        """Say in what a converted place behaves otherwise than before."""
        self.say(place, Outcome.WARNED, reason)

    def outside(self, place: Place, reason: str) -> None:
        """Say that a place is not among what the tool converts."""
        self.say(place, Outcome.OUTSIDE, reason)


class UnreadableSource(ValueError):
    """A file that is no Python, or not there.

    Args:
        path (Path): Of the file.
        reason (str): What is wrong with it, and where.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f'{path}: {reason}')
        self.path = path
        self.reason = reason


@dataclass
class Result:
    """One file before and after.

    Args:
        path (Path): Of the file.
        before (str): Its text.
        after (str): Its text once migrated; the same where nothing was to
            do.
        findings (list[Finding]): What was done and what was not.
        rules (list[str]): ``PrecisionHook`` rules, as source text, that
            stand for precision which the old code fixed itself.
        unreadable (str): Why the file could not be read; empty if it could.
    """

    path: Path
    before: str
    after: str
    findings: list[Finding] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    unreadable: str = ''

    @property
    def is_changed(self) -> bool:
        """Whether the text differs."""
        return self.before != self.after

    def of(self, outcome: Outcome) -> list[Finding]:
        """Return the findings with this outcome."""
        return [f for f in self.findings if f.outcome is outcome]
