"""Draw the rooms of the package, from its own imports.

``python tools/dev/architecture.py`` writes ``docs/architecture.png``: a box a
folder with its lines of code and the folders in it, a row a step of
:data:`ORDER`, and an arrow for every room that another imports of.
"""

import ast
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from textwrap import wrap

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / 'docs/architecture.png'
ORDER = (
    ('errors', 'version', 'registry'),
    ('compat',),
    ('utils',),
    ('distributed', 'sharding', 'logging'),
    ('precision', 'randomness', 'checkpoint'),
    ('config',),
    ('visualization', 'datasets', 'models', 'evaluation'),
    ('engine', 'weights'),
    ('launcher',),
    ('migration',),
    ('train', 'test', 'sample', 'dcp_to_pth', 'convert_weights', 'export'),
    ('report',),
    ('plan',),
    ('__init__',),
)
"""What a folder or file of ``mmamp/`` imports stands above it, or beside."""
WIDTH, PITCH = 14, 1.8
"""Of the picture, and from row to row; a box is 2 wide."""
LETTERS = 26
"""Of a line of small print in a box."""
LEFT_OUT = ('version', 'sharding', '__init__')
"""Of the drawing: a number and names of others."""


def module_of(path: Path) -> str:
    """Return the dotted name of a file."""
    name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    return name.removesuffix('.__init__')


@cache
def files(*folders: str) -> dict[str, Path]:
    """Return the Python files of folders, by dotted name."""
    return {
        module_of(path): path
        for folder in folders
        for path in sorted((ROOT / folder).rglob('*.py'))
        if '.mim' not in path.parts
    }


def room_of(module: str) -> str:
    """Return the folder or file of ``mmamp/`` that a module is in."""
    return (*module.split('.'), '__init__')[1]


def imports_of(path: Path) -> list[tuple[str, str | None]]:
    """Return what a file imports, inside of functions too.

    Args:
        path (Path): Of the file.

    Returns:
        list[tuple[str, str or None]]: Modules, and the name taken of each;
        None where it is the module itself.
    """
    package = module_of(path).split('.')
    if path.name != '__init__.py':
        package = package[:-1]
    known = files('mmamp', 'benchmarks')
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            cut = len(package) + 1 - node.level
            above = package[:cut] if node.level else []
            base = '.'.join([*above, *filter(None, [node.module])])
            for alias in node.names:
                inner = f'{base}.{alias.name}'
                is_module = inner in known
                found.append(
                    (inner, None) if is_module else (base, alias.name)
                )
    return found


def main() -> None:
    """Write the picture."""
    lines: Counter[str] = Counter()
    inner: defaultdict[str, set[str]] = defaultdict(set)
    arrows: Counter[tuple[str, str]] = Counter()
    for module, path in files('mmamp').items():
        room = room_of(module)
        lines[room] += path.read_text().count('\n')
        parts = path.relative_to(ROOT / 'mmamp').parts
        inner[room] |= set(parts[1:2]) - set(parts[-1:])
        for other in {x for x, _ in imports_of(path) if x[:6] == 'mmamp.'}:
            if room_of(other) != room:
                arrows[room, room_of(other)] += 1
    rows = [[x for x in row if x not in LEFT_OUT] for row in ORDER]
    rows = [row for row in rows if row]
    places = {
        room: ((i + 0.5) * WIDTH / len(row), -PITCH * y)
        for y, row in enumerate(rows)
        for i, room in enumerate(row)
    }
    _, axes = plt.subplots(figsize=(12, 16))
    for (room, other), count in arrows.items():
        if room in places and other in places:
            axes.annotate(
                '',
                places[other],
                places[room],
                arrowprops=dict(
                    arrowstyle='->',
                    color='#5577aa',
                    alpha=0.45,
                    lw=0.6 + 0.15 * min(count, 12),
                    shrinkA=14,
                    shrinkB=14,
                    connectionstyle='arc3,rad=0.12',
                ),
            )
    for room, (x, y) in places.items():
        axes.add_patch(
            FancyBboxPatch(
                (x - 1.0, y - 0.65),
                2.0,
                1.2,
                boxstyle='round,pad=0.06',
                facecolor='#eef3fa',
                edgecolor='#33517d',
                zorder=3,
            )
        )
        axes.text(x, y + 0.38, room, ha='center', va='center', zorder=4)
        folders = wrap(', '.join(sorted(inner[room])), LETTERS)
        axes.text(
            x,
            y + 0.22,
            '\n'.join([f'{lines[room]:,} lines', *folders]),
            ha='center',
            va='top',
            fontsize=7,
            color='#556677',
            zorder=4,
        )
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(-PITCH * (len(rows) - 1) - 0.8, 0.7)
    axes.axis('off')
    plt.savefig(PICTURE, dpi=90, bbox_inches='tight')


if __name__ == '__main__':
    main()
