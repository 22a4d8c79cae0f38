"""What was found, as Markdown in the documentation."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.results.tables import put_between

from .cases import COMMITS

PAGES = [Path(f'docs/{x}/weights.md') for x in ('en', 'zh_cn')]
MARKS = (
    '<!-- begin: python -m benchmarks.weights -->',
    '<!-- end: python -m benchmarks.weights -->',
)
DTYPES = ('float32', 'float16', 'bfloat16')

Found = Mapping[str, Any]


def write(page: Path, found: Sequence[Found]) -> None:
    """Put results into a page.

    Args:
        page (Path): Of a Markdown file.
        found (Sequence[Mapping]): The records; later ones of the same network
            replace earlier ones.
    """
    text = f'torch {version("torch")}, on a CPU:\n\n{table(found)}'
    put_between(page, *MARKS, text)


def table(found: Sequence[Found]) -> str:
    """Make the table.

    Args:
        found (Sequence[Mapping]): As of :func:`write`.
    """
    groups: dict[tuple[str, ...], dict[str, Found]] = {}
    for one in found:
        # Of two that are alike a line.
        network = str(one['network']).split('_')[0]
        key = (one['repository'], one['commit'], one['case'], network)
        kept = groups.setdefault(key, {})
        kept[one['dtype']] = one
    head = ['code', 'commit', 'networks', '']
    for dtype in DTYPES:
        head += [f'{dtype}: output', 'gradients']
    rows = [head, ['---'] * len(head)]
    for (repository, commit, case, network), by_dtype in sorted(
        groups.items(), key=lambda item: _place(*item[0])
    ):
        cells = [repository, f'`{commit}`', case, network]
        for dtype in DTYPES:
            one = by_dtype.get(dtype, {})
            if not one:
                cells += ['', '']
                continue
            cells.append(_figure(one['output']))
            cells.append(
                _figure(one['gradient'])
                if dtype == 'float32'
                else f'{_figure(one["ours"])} ({_figure(one["theirs"])})'
            )
        rows.append(cells)
        if 'float64' in by_dtype:
            one = by_dtype['float64']
            cells[3] += (
                f' (in float64 {_figure(one["output"])}, '
                f'{_figure(one["gradient"])})'
            )
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _place(
    repository: str, commit: str, case: str, network: str
) -> tuple[Any, ...]:
    """Put small networks of a family before those of a published size."""
    family, _, size = case.rpartition(', ')
    known = list(COMMITS).index(repository)
    return known, family, size != 'small', network != 'generator'


def _figure(value: float) -> str:
    return '0' if value == 0 else f'{value:.0e}'
