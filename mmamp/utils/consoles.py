"""Consoles that show a user's text as it is."""

from collections.abc import Iterable, Sized
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar('T')

WIDE = 100_000
"""Columns of what is no terminal: nothing is wrapped."""


def new_console(**options: Any) -> Console:
    """Make a console that prints text and nothing else.

    Names of files and settings hold brackets and colons, which rich would
    read as markup and emoji (``a.py:100:``). In a pipe a line stays one.

    Args:
        **options: Of ``rich.console.Console``.

    Returns:
        rich.console.Console: As wide as the terminal; of what is none as wide
        as any line, unless ``width`` is given.

    Examples:
        >>> new_console(stderr=True).print('model.py:100: [bold]')
    """
    console = Console(markup=False, emoji=False, highlight=False, **options)
    if not console.is_terminal and 'width' not in options:
        console.width = WIDE
    return console


def tracked(
    items: Iterable[T], what: str, total: int | None = None
) -> Iterable[T]:
    """Show how far one has come in some items.

    On a terminal, in a line that is gone in the end; elsewhere nothing is
    printed.

    Args:
        items (Iterable): The items.
        what (str): What is done with them.
        total (int, optional): How many there are. Defaults to None: as many
            as they say.

    Returns:
        Iterable: The same items.

    Examples:
        >>> list(tracked([1, 2], 'counting'))
        [1, 2]
    """
    console = new_console(stderr=True)
    if total is None and isinstance(items, Sized):
        total = len(items)
    if total == 1 or not console.is_terminal:
        return items
    return track(items, what, total=total, console=console, transient=True)
