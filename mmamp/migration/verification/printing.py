"""A comparison, shown."""

from rich.console import Console
from rich.text import Text

from mmamp.migration.printing import new_table, print_line

from .comparison import Row
from .result import Verification


def print_verification(console: Console, found: Verification) -> None:
    """Show a comparison: as a table in a terminal, in a pipe line by line.

    Args:
        console (Console): Where to.
        found (Verification): What to show.
    """
    if found.problem:
        print_line(console, f'{found.path}: not verified: {found.problem}')
    for note in found.notes:
        print_line(console, f'{found.path}: {note}')
    if not console.is_terminal:
        for row in found.rows:
            print_line(console, f'{found.path}: {_line(row)}')
    elif found.rows:
        _print_table(console, found)


def _line(row: Row) -> str:
    network = f'{row.network}: ' if row.network else ''
    end = ' [differs]' if row.differs else ''
    return f'{network}{row.setting}: {row.before} -> {row.after}{end}'


def _print_table(console: Console, found: Verification) -> None:
    table = new_table(console)
    table.title = str(found.path)
    for name in ('network', 'setting', '0.x', '1.x'):
        table.add_column(name, overflow='fold')
    last = None
    for row in found.rows:
        if last not in (None, row.network):
            table.add_section()
        network = row.network if row.network != last else ''
        style = 'bold red' if row.differs else ''
        after = Text(row.after)
        if row.differs:
            after.append(' (differs)')
        cells = (Text(network), Text(row.setting), Text(row.before), after)
        table.add_row(*cells, style=style)
        last = row.network
    console.print(table)
