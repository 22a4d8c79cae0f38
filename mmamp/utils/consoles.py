"""Consoles that show a user's text as it is."""

from typing import Any

from rich.console import Console

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
