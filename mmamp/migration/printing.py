"""How a migration is shown: what it found, what differs, how much it was."""

import difflib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from io import BytesIO
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .findings import COMMENTS, Finding, Outcome, Result
from .sources import encode_source

COLOURS = {
    Outcome.CHANGED: 'green',
    Outcome.WARNED: 'yellow',
    Outcome.TODO: 'red',
    Outcome.OUTSIDE: 'blue',
}
GROUPED = (Outcome.OUTSIDE, Outcome.CHANGED, Outcome.WARNED, Outcome.TODO)
"""What is said of many files, in this order."""


def new_table(console: Console) -> Table:
    """Make a table: with lines in a terminal, plain in a pipe."""
    if console.is_terminal:
        return Table()
    return Table(box=None, pad_edge=False)


def diff(result: Result) -> bytes:
    """Return what changed, for ``patch -p1`` or ``git apply``."""
    texts = (result.before, result.after)
    before, after = (
        BytesIO(encode_source(x, result.path)).readlines() for x in texts
    )
    name = os.path.relpath(result.path).encode()
    lines = difflib.diff_bytes(
        difflib.unified_diff, before, after, b'a/' + name, b'b/' + name
    )
    end = b'\n\\ No newline at end of file\n'
    return b''.join(x if x[-1:] == b'\n' else x + end for x in lines)


def print_findings(
    console: Console, result: Result, outcomes: set[Outcome]
) -> None:
    """Print what there is to say of a file.

    A terminal gets a heading and lines that are broken to fit; a pipe gets
    one line each, that begins with the file and the line in it.

    Args:
        console (Console): Where to.
        result (Result): Of the file.
        outcomes (set[Outcome]): Which findings to show.
    """
    shown = [x for x in result.findings if x.outcome in outcomes]
    if result.unreadable:
        print_line(console, f'{result.path}: unreadable: {result.unreadable}')
    if not console.is_terminal:
        for x in shown:
            line = f'{result.path}:{x.line}' if x.line else f'{result.path}'
            text = f'{x.outcome.value}: {x.reason} [{x.rule}]'
            print_line(console, f'{line}: {text}')
    elif shown:
        print_line(console, str(result.path), style='bold')
        grid = Table.grid(padding=(0, 1), pad_edge=True)
        grid.add_column(justify='right', no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column()
        for x in shown:
            reason = Text(x.reason).append(f' [{x.rule}]', style='dim')
            outcome = Text(x.outcome.value, style=COLOURS[x.outcome])
            grid.add_row(str(x.line or ''), outcome, reason)
        console.print(grid)


def print_groups(console: Console, results: list[Result]) -> None:
    """Print what there is to say of many files, each thing once.

    What is left to do comes last, with all its places; of other things the
    first place and how many there are.

    Args:
        console (Console): Where to.
        results (list[Result]): Of the files.
    """
    for result in results:
        if result.unreadable:
            text = f'{result.path}: unreadable: {result.unreadable}'
            print_line(console, text)
    for outcome in GROUPED:
        groups: dict[tuple[str, str], list[str]] = {}
        for result in results:
            for x in filter(_is_for_many, result.of(outcome)):
                line = f'{result.path}:{x.line}' if x.line else result.path
                groups.setdefault((x.reason, x.rule), []).append(str(line))
        for (reason, rule), places in groups.items():
            first, *others = places
            count = f' ({len(places)} places)' if others else ''
            text = f'{outcome.value}: {reason} [{rule}]{count}'
            print_line(console, f'{first}: {text}', COLOURS[outcome])
            if outcome is Outcome.TODO:
                for place in others:
                    print_line(console, f'{place}: {outcome.value}: the same')


def _is_for_many(finding: Finding) -> bool:
    """Tell whether it is in no file: what was converted is in them."""
    return finding.outcome is not Outcome.CHANGED or finding.rule == COMMENTS


def as_json(results: list[Result], verified: Iterable[Any] = ()) -> str:
    """Write all that there is to say, for other programs.

    Args:
        results (list[Result]): Of the files.
        verified (Iterable[Verification]): What came of ``--verify``. Defaults
            to none.

    Returns:
        str: A JSON list with a dict a file: ``path``, ``is_changed``,
        ``unreadable``, ``rules``, ``findings`` with ``line``, ``rule``,
        ``outcome`` and ``reason``, and ``verification``, which is null or has
        ``is_good``, ``problem``, ``notes``, and ``rows`` with ``network``,
        ``setting``, ``before``, ``after`` and ``differs``.
    """
    comparisons = {x.path: x for x in verified}
    return json.dumps(
        [
            {
                'path': str(x.path),
                'is_changed': x.is_changed,
                'unreadable': x.unreadable,
                'rules': x.rules,
                'findings': [
                    {**asdict(y), 'outcome': y.outcome.value}
                    for y in x.findings
                ],
                'verification': _comparison(comparisons.get(x.path)),
            }
            for x in results
        ],
        indent=1,
    )


def _comparison(found: Any) -> dict[str, Any] | None:
    """Return what came of a comparison, for JSON."""
    if found is None:
        return None
    return {
        'is_good': found.is_good,
        'problem': found.problem,
        'notes': found.notes,
        'rows': [asdict(x) for x in found.rows],
    }


def print_rules(console: Console, results: list[Result]) -> None:
    """Print the hook for precision that the old code fixed itself."""
    rules = {x: r.path for r in reversed(results) for x in reversed(r.rules)}
    if not rules:
        return
    print_line(
        console,
        '\n# For the config: what the old code kept in its own precision. '
        'Look the names\n# of the modules up in your model.\n'
        "custom_hooks = [\n    dict(\n        type='mmamp.PrecisionHook',\n"
        '        rules=[',
    )
    path = None
    for rule, origin in reversed(rules.items()):
        if origin != path:
            path = origin
            print_line(console, f'            # {path}')
        print_line(console, f'            {rule},')
    print_line(console, '        ])\n]')


def print_summary(console: Console, results: list[Result]) -> None:
    """Print how many files there were, and what became of them."""
    table = new_table(console)
    table.add_column('')
    table.add_column('files', justify='right')
    table.add_column('places', justify='right')
    table.add_row('all', str(len(results)), '')
    changed = sum(x.is_changed for x in results)
    table.add_row('rewritten', str(changed), '')
    for outcome in Outcome:
        found = [n for x in results if (n := len(x.of(outcome)))]
        table.add_row(outcome.value, str(len(found)), str(sum(found)))
    unreadable = sum(bool(x.unreadable) for x in results)
    table.add_row('unreadable', str(unreadable), '')
    console.print(table)


def print_line(console: Console, text: str, style: str = '') -> None:
    """Print a line as it is, of any length."""
    console.print(text, style=style, soft_wrap=True)
