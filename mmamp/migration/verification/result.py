"""What came of a comparison."""

from dataclasses import dataclass, field
from pathlib import Path

from .comparison import Row


@dataclass
class Verification:
    """What came of the comparison of a config before and after.

    Args:
        path (Path): Of the config.
        rows (list[Row]): Settings, side by side.
        problem (str): Why there is nothing to compare; empty if there is.
        notes (list[str]): What was left out.
    """

    path: Path
    rows: list[Row] = field(default_factory=list)
    problem: str = ''
    notes: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether both do the same."""
        return not self.problem and not any(x.differs for x in self.rows)
