"""What was found, as Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .schedule import PARTS

Line = dict[str, Any]

NO_GPU = 'none'
"""What the first part says of a machine without a GPU."""


def tables(lines: Iterable[Line]) -> str:
    """Make all tables.

    Args:
        lines (Iterable[dict]): Of the records.
    """
    return '\n\n'.join(_tables(list(lines)))


def device_of(lines: Iterable[Line]) -> str:
    """Return the name of the device; ``'none'`` where there is no GPU.

    Args:
        lines (Iterable[dict]): Of the records.
    """
    for line in lines:
        cells = line.get('cells', {})
        if line['part'] == 'device' and cells.get('what') == 'GPU':
            return str(cells['value'])
    return NO_GPU


def _tables(lines: Sequence[Line]) -> Iterator[str]:
    ends = {x['part']: x for x in lines if 'result' in x}
    begun = {x['part'] for x in lines}
    yield _table(
        [
            {
                'part': part.title,
                'result': ends[part.name]['result']
                if part.name in ends
                else 'cut off'
                if part.name in begun
                else 'not begun',
                's': ends.get(part.name, {}).get('seconds'),
            }
            for part in PARTS
        ]
    )
    for part in PARTS:
        found: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            if line['part'] == part.name and 'table' in line:
                found.setdefault(line['table'], []).append(line['cells'])
        if found:
            yield f'## {part.title}'
        for title, rows in found.items():
            if title:
                yield f'**{title}**'
            yield _table(rows)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    head = list(dict.fromkeys(key for row in rows for key in row))
    lines = [
        head,
        ['---'] * len(head),
        *([_cell(row.get(key)) for key in head] for row in rows),
    ]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, float):
        return f'{value:.3g}' if abs(value) < 100 else f'{value:.0f}'
    return ' '.join(str(value).replace('|', '/').split())
