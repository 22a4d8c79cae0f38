"""Train the shipped configs of other people's toolboxes, and tabulate it.

``python tools/dev/toolbox_table.py [NAME ...]`` trains what
``tests/toolboxes/entries.py`` lists, all of it or what begins with one of the
names, in the environment that ``tools/dev/toolboxes.sh`` makes, in all ways of
``tests/toolboxes/trial.py``. What came of a config is kept in
``TOOLBOXES_DIR/results``, a file for each, so that a run that was cut off goes
on; ``--again`` begins anew. ``--write`` puts the table into the pages.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / 'tests/toolboxes'
# The repository's own, in no wheel.
sys.path[:0] = [str(ROOT), str(TESTS)]

from entries import ENTRIES, Entry  # noqa: E402

from benchmarks import json_lines  # noqa: E402
from benchmarks.results.tables import put_between  # noqa: E402

FOLDER = Path(
    os.environ.get('TOOLBOXES_DIR', Path.home() / '.cache/mmamp/toolboxes')
)
PAGES = [ROOT / f'docs/{x}/other_toolboxes.md' for x in ('en', 'zh_cn')]
MARKS = (
    '<!-- begin: tools/dev/toolbox_table.py -->',
    '<!-- end: tools/dev/toolbox_table.py -->',
)
WAYS = ('float32', 'amp', 'float16', 'resumed', 'own')
GROUPS = (WAYS, ('report',))
"""What is trained by one process, as one needs another."""
LIMIT = 3600
"""Seconds of a group."""
PACKAGES = {
    'mmpretrain': 'mmpretrain',
    'mmseg': 'mmsegmentation',
    'mmdet': 'mmdet',
    'mmpose': 'mmpose',
    'mmagic': 'mmagic',
    'mmocr': 'mmocr',
    'mmaction': 'mmaction2',
}
"""Distributions, by what is imported."""
HEAD = (
    'config',
    'float32',
    '--amp',
    'float16',
    'resumed',
    'own train.py',
    'report',
    'what it took, or why not',
)
Row = dict[str, Any]
Rows = dict[str, Row]
"""What came of each way."""


def path_of(entry: Entry, folder: Path) -> Path:
    """Return the file that keeps what came of a config."""
    return folder / 'results' / f'{entry.name.replace("/", "__")}.jsonl'


def read(path: Path) -> Rows:
    """Read what came of each way; the last time counts."""
    rows = json_lines.read(path) if path.exists() else []
    return {row['way']: row for row in rows}


def run(
    entry: Entry,
    folder: Path,
    python: Path,
    groups: Sequence[Sequence[str]] = GROUPS,
) -> None:
    """Train a config in the ways that are missing.

    Args:
        entry (Entry): The config.
        folder (Path): Where it is done, and the results are kept.
        python (Path): Of the toolboxes' environment.
        groups (Sequence[Sequence[str]]): Of ways. Defaults to all of them.
    """
    path = path_of(entry, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    for group in groups:
        if not set(group) <= read(path).keys():
            with path.open('a') as file:
                for line in trained(entry, folder, python, group):
                    file.write(f'{line}\n')
        runs = folder / 'work/runs' / entry.name.replace('/', '_')
        for path in runs.rglob('*.pth'):
            path.unlink()


def trained(
    entry: Entry, folder: Path, python: Path, ways: Sequence[str]
) -> Iterator[str]:
    """Train a config, and yield a line of JSON for each way."""
    done = subprocess.run(
        [
            *('timeout', str(LIMIT), python, '-W', 'ignore'),
            *(TESTS / 'trial.py', entry.name, folder / 'work', *ways),
        ],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            # What is tried starts processes of its own.
            'PYTHONPATH': f'{TESTS / "shims"}{os.pathsep}{ROOT}',
            'OMP_NUM_THREADS': '1',
        },
    )
    lines = [x for x in done.stdout.splitlines() if x.startswith('{"name"')]
    yield from lines
    why = (done.stderr.strip().splitlines() or [''])[-1]
    if done.returncode == 124:
        why = f'not done after {LIMIT} s'
    for way in ways[len(lines) :]:
        yield json.dumps(dict(name=entry.name, way=way, code=1, why=why))


# ---- the table ------------------------------------------------------------


def passed(cells: Sequence[str]) -> bool:
    """Tell whether a config did in all ways what it does in float32.

    Args:
        cells (Sequence[str]): Of its line.
    """
    *ways, _, notes = cells[1:]
    # Where all was skipped, nothing was trained.
    failed = ('every window skipped', 'not validated')
    return (
        'no' not in ways
        and ways[WAYS.index('resumed')] == 'exact'
        and not any(note in notes for note in failed)
    )


def line(entry: Entry, rows: Rows) -> tuple[str, ...]:
    """Make the line of a config.

    Args:
        entry (Entry): The config.
        rows (dict): What came of each way.
    """
    full = rows['float32']
    resumed, own = rows['resumed'], rows['own']
    report = rows.get('report')
    cells = [
        _failed(full) or _full(full),
        *(_ratios(rows[way], full) for way in ('amp', 'float16')),
        _failed(resumed) or ('exact' if resumed['exact'] else 'not exact'),
        _failed(own) or 'yes',
        '' if report is None else _reported(report),
    ]
    return (f'`{entry.path}`', *cells, '; '.join(_notes(rows)))


def _failed(row: Row) -> str:
    return 'no' if row['code'] else ''


def _reported(row: Row) -> str:
    return _failed(row) or 'yes'


def _full(row: Row) -> str:
    """Say what float32 did, and the largest of its first gradient norms."""
    text = 'validated' if row['validated'] else 'trained'
    norm = max(row['norms'].values(), default=0.0)
    return f'{text}, {norm:.3g}'


def _ratios(row: Row, full: Row) -> str:
    """Format the first loss and gradient norm over those of float32."""
    if row['code'] or full['code']:
        return _failed(row) or 'yes'
    parts = [_ratio(row['first'], full['first'])]
    ratios = [
        row['norms'][key] / norm
        for key, norm in full['norms'].items()
        if norm and key in row['norms']
    ]
    if ratios:
        parts.append(f'{max(ratios, key=lambda x: max(x, 1 / x)):.3f}')
    if row['skipped']:
        parts.append(f'{row["skipped"]:.0f} skipped')
    return ', '.join(parts)


def _ratio(value: float, full: float) -> str:
    return f'{value / full:.3f}' if full else '-'


def _notes(rows: Rows) -> Iterator[str]:
    """Yield what a reader has to know of a config."""
    for way, dtype in (('amp', 'bfloat16'), ('float16', 'float16')):
        row = rows[way]
        rules = [f'`{x}`' for x in row.get('rules', ())]
        if rules:
            yield f'float32 in {dtype}: {", ".join(rules)}'
        if not row['code'] and row.get('largest', 1) is None:
            yield f'every window skipped in {dtype}'
    validates = rows['float32'].get('validated')
    for way in ('amp', 'float16', 'own'):
        if not rows[way]['code'] and rows[way]['validated'] != validates:
            yield f'{way}: not validated'
    amp = rows['amp']
    if amp.get('by_itself'):
        yield 'no `optim_context`: networks in autocast by themselves'
    if amp.get('gave_up'):
        yield 'validated in float32'
    if differ := rows['resumed'].get('differ'):
        yield f'differs: `{differ[0]}`'
    seen = set()
    for way, row in rows.items():
        text = row.get('why') or row.get('error') or ''
        if row['code'] and text not in seen:
            seen.add(text)
            text = text[:120].replace('|', '/').replace('`', "'")
            yield f'{way}: `{text or row["code"]}`'


def lines_of(page: Path) -> dict[str, tuple[str, ...]]:
    """Return the lines of configs that a page has, by their first cells."""
    _, _, rest = page.read_text().partition(MARKS[0])
    text = rest.partition(MARKS[1])[0]
    found = (
        tuple(cell.strip() for cell in row.strip('|').split('|'))
        for row in text.splitlines()
        if row.startswith('| `')
    )
    return {cells[0]: cells for cells in found}


def gathered(
    results: dict[Entry, Rows], old: dict[str, tuple[str, ...]]
) -> dict[Entry, tuple[str, ...]]:
    """Return the lines of configs, those that were not trained as they were.

    Args:
        results (dict): What came of each config, as far as it was trained.
        old (dict): The page's lines.
    """
    found = {}
    for entry, rows in results.items():
        cells = old.get(f'`{entry.path}`')
        if set(WAYS) <= rows.keys():
            new = line(entry, rows)
            if cells is not None and 'report' not in rows:
                new = (*new[:-2], cells[-2], new[-1])
            found[entry] = new
        elif cells is not None:
            if 'report' in rows:
                cells = (*cells[:-2], _reported(rows['report']), cells[-1])
            found[entry] = cells
    return found


def tables(
    found: dict[Entry, tuple[str, ...]], versions: dict[str, str]
) -> str:
    """Make a table for each toolbox, in Markdown.

    Args:
        found (dict): The line of each config.
        versions (dict): Of the packages.
    """
    count = sum(map(passed, found.values()))
    parts = [f'{count} of {len(found)} configs passed in every way.']
    for toolbox in dict.fromkeys(entry.toolbox for entry in found):
        of_it = [v for k, v in found.items() if k.toolbox == toolbox]
        count = sum(map(passed, of_it))
        name = PACKAGES[toolbox]
        rows = [HEAD, ('---',) * len(HEAD), *of_it]
        parts.append(
            f'**{name} {versions[name]}**: {count} of {len(of_it)}\n\n'
            + '\n'.join(f'| {" | ".join(x)} |' for x in rows)
        )
    others = [
        f'{name} {version}'
        for name, version in versions.items()
        if name not in PACKAGES.values()
    ]
    return '\n\n'.join([f'With {", ".join(others)}.', *parts])


def versions_in(python: Path) -> dict[str, str]:
    """Return the versions of packages in an environment."""
    names = ['torch', 'mmengine', 'mmcv', 'mmcv-lite', 'numpy']
    names += PACKAGES.values()
    code = (
        'import importlib.metadata as m, json\n'
        'found = {x.name: x.version for x in m.distributions()}\n'
        f'print(json.dumps({{x: found[x] for x in {names} if x in found}}))'
    )
    done = subprocess.run(
        [python, '-c', code], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def main(argv: list[str] | None = None) -> None:
    """Train, tabulate and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.add_argument('--folder', type=Path, default=FOLDER)
    parser.add_argument(
        '--again', action='store_true', help='forget what is known of them'
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        '--no-report',
        action='store_true',
        help='leave out the report, which takes longest',
    )
    only.add_argument(
        '--only-report',
        action='store_true',
        help='make the report alone, of configs that the pages have',
    )
    parser.add_argument(
        '--no-run', action='store_true', help='tabulate what is there'
    )
    parser.add_argument(
        '--write', action='store_true', help='put the table into the pages'
    )
    args = parser.parse_args(argv)
    pythons = [args.folder / x / 'bin/python' for x in ('full', 'lite')]
    python = next((x for x in pythons if x.exists()), pythons[0])
    for entry in ENTRIES:
        chosen = not args.names or entry.name.startswith(tuple(args.names))
        if chosen and not args.no_run:
            if args.again:
                path_of(entry, args.folder).unlink(missing_ok=True)
            groups = GROUPS[args.only_report : 1 if args.no_report else 2]
            run(entry, args.folder, python, groups)
            print(entry.name, flush=True)
    results = {x: read(path_of(x, args.folder)) for x in ENTRIES}
    text = tables(gathered(results, lines_of(PAGES[0])), versions_in(python))
    if args.write:
        for page in PAGES:
            put_between(page, *MARKS, text)
    else:
        print(text)


if __name__ == '__main__':
    main()
