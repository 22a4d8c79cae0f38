"""What a rule of the migration is, of configs as of code."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

Given = ParamSpec('Given')
Made = TypeVar('Made')


@dataclass(frozen=True)
class Rule(Generic[Given, Made]):
    """One thing that differs between 0.x and 1.x, and how it is converted.

    A rule leaves what is of 1.x already as it is.

    Args:
        name (str): That of the file which the rule is in.
        description (str): What of 0.x it converts, in a few words.
        apply (Callable): Converts, and says what was done and what was not.
            A rule of configs takes a ``Context`` and changes it; a rule of
            code takes a ``libcst.Module`` and its ``Notes``, and returns
            another module.
        words (tuple[str, ...]): A file that holds none of them is none of the
            rule's business. Defaults to (): every file may be.
    """

    name: str
    description: str
    apply: Callable[Given, Made]
    words: tuple[str, ...] = ()

    def may_concern(self, text: str) -> bool:
        """Tell whether it is worth trying on a file.

        Args:
            text (str): The file.
        """
        return not self.words or any(word in text for word in self.words)
