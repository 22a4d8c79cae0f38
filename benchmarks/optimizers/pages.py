"""What was found, as Markdown in the documentation."""

import datetime
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.results.tables import put_between
from mmamp.precision.devices import machine
from mmamp.precision.names import COMPARED

from .judge import RIGHT, VERDICTS, WRONG

PAGES = [Path(f'docs/{x}/optimizers_list.md') for x in ('en', 'zh_cn')]
MARKS = (
    '<!-- begin: tools/optimizers.py -->',
    '<!-- end: tools/optimizers.py -->',
)
PROMISES = ('trains', 'skips', 'resumes', 'schedules')

Row = dict[str, Any]


def write(page: Path, found: Sequence[Row], command: str) -> None:
    """Put what was found into a page.

    Args:
        page (Path): Of a Markdown file.
        found (list[dict]): The records.
        command (str): That found it.
    """
    put_between(page, *MARKS, '\n\n'.join(report(found, command)))


def report(found: Sequence[Row], command: str) -> Iterator[str]:
    """Yield the parts of the report.

    Args:
        found (list[dict]): The records.
        command (str): That found it.
    """
    today = datetime.date.today().isoformat()
    yield (
        f'{today}, torch {version("torch")}, on {machine()}, '
        f'{os.cpu_count()} cores:\n\n<!-- test: parse -->\n```bash\n{command}'
        '\n```'
    )
    of_package: dict[tuple[str, str], list[Row]] = {}
    for row in found:
        key = row['package'], row['version']
        of_package.setdefault(key, []).append(row)
    yield _table(_summary(of_package))
    for (package, number), rows in of_package.items():
        yield f'## {package} {number}'
        yield _table(_of_package(rows))


def _summary(
    of_package: dict[tuple[str, str], list[Row]],
) -> Iterator[Sequence[str]]:
    yield 'package', 'optimizers', *VERDICTS
    for key, rows in of_package.items():
        counts = Counter(worst for worst in _worst(rows).values())
        numbers = [sum(counts.values()), *(counts[x] for x in VERDICTS)]
        yield ' '.join(key), *map(str, numbers)


def _worst(rows: Sequence[Row]) -> dict[str, str]:
    """Return the worst verdict on each optimizer."""
    found: dict[str, str] = {}
    for row in rows:
        verdicts = found.get(row['path'], RIGHT), row['verdict']
        found[row['path']] = max(verdicts, key=VERDICTS.index)
    return found


def _of_package(rows: Sequence[Row]) -> Iterator[Sequence[str]]:
    yield (
        'optimizer',
        *COMPARED,
        'schedule',
        'time',
        'memory',
        'what is not right',
    )
    of_path: dict[str, dict[str, Row]] = {}
    for row in rows:
        of_path.setdefault(row['path'], {})[row['dtype']] = row
    for path, of_dtype in of_path.items():
        first = next(iter(of_dtype.values()))
        said = dict.fromkeys(
            row[key] for key in ('reason', 'note') for row in of_dtype.values()
        )
        yield (
            f'`{path}`',
            *(_cell(of_dtype.get(dtype)) for dtype in COMPARED),
            'followed' if first['schedules'] else '',
            *(_ratio(first[key]) for key in ('time', 'memory')),
            plain('; '.join(filter(None, said))),
        )


def _cell(row: Row | None) -> str:
    """Say in two words what came of an optimizer in a precision."""
    if row is None:
        return ''
    verdict = str(row['verdict'])
    if verdict != WRONG:
        return verdict
    failed = [x for x in PROMISES[:3] if not row[x]]
    return f'{verdict} ({", ".join(failed)})' if failed else verdict


def _ratio(value: float | None) -> str:
    return '' if value is None else f'{value:.2f}'


def plain(text: str, length: int = 300) -> str:
    """Return text that Markdown takes for nothing else, in a table.

    Args:
        text (str): The text.
        length (int): That is shown at most. Defaults to 300.
    """
    text = ' '.join(text.split())
    if len(text) > length:
        text = f'{text[:length].rstrip()} …'
    return re.sub(r'([\\`*_{}\[\]<>|$])', r'\\\1', text)


def _table(rows: Iterator[Sequence[str]]) -> str:
    head, *rest = rows
    lines = [head, ['---'] * len(head), *rest]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
