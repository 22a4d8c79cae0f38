"""The plan as one page, which needs nothing from elsewhere."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from mmamp.report.pictures import picture_of
from mmamp.report.rendering import render

from .cards import in_words
from .ledger import PARTS
from .tables import findings, fits

TEMPLATE = Path(__file__).with_name('page.html')
COLOURS = dict(
    zip(
        PARTS,
        (
            *('#1d4ed8', '#60a5fa', '#7c3aed', '#db2777', '#f472b6'),
            *('#64748b', '#94a3b8', '#0d9488', '#84cc16', '#d97706'),
            *('#b45309', '#0891b2', '#a1a1aa', '#d4d4d8'),
        ),
        strict=True,
    )
)
"""Of what memory is for."""


def write_page(out: Path, plan: dict[str, Any]) -> Path:
    """Write ``plan.html``.

    Args:
        out (Path): The folder that it goes to.
        plan (dict): As ``schema.json`` describes it.

    Returns:
        Path: Of the page.
    """
    rows = [x for x in plan['rows'] if not x['failed']]
    longest = max([x['peak']['total'] for x in rows] + [plan['memory'] or 1])
    return render(
        TEMPLATE,
        out / 'plan.html',
        plan=plan,
        rows=rows,
        longest=longest,
        colours=COLOURS,
        fits=fits,
        size=in_words,
        findings=findings(plan),
        timelines=[timeline(x, plan['memory']) for x in rows],
    )


def timeline(row: dict[str, Any], memory: int | None) -> str:
    """Draw what is in memory over an update, as an address of a picture.

    Args:
        row (dict): Of the plan.
        memory (int, optional): Bytes of the device; None if not known.
    """
    points = row['timeline']
    names = [x for x in PARTS if any(x in parts for _, parts in points)]
    sizes = [
        [parts.get(name, 0) / 2**20 for _, parts in points] for name in names
    ]

    def draw(axes: Axes) -> None:
        axes.stackplot(
            range(len(points)),
            *sizes,
            colors=[COLOURS[x] for x in names],
            linewidth=0,
        )
        top = max(map(sum, zip(*sizes, strict=True)), default=1)
        if memory is not None and memory / 2**20 < 1.6 * top:
            axes.axhline(memory / 2**20, color='#dc2626', lw=1)
        for begin, end, role in _turns(points):
            axes.axvline(begin, color='#8a94a6', lw=0.6, ls=':')
            axes.text(
                (begin + end) / 2,
                1.0,
                role,
                transform=axes.get_xaxis_transform(),
                ha='center',
                va='bottom',
                fontsize=8,
                color='#8a94a6',
            )
        axes.set_xlim(0, max(len(points) - 1, 1))
        axes.set_xticks([])
        axes.set_ylabel('MiB')

    return picture_of(draw, 6.4, 2.6)


def _turns(points: list[Any]) -> list[tuple[int, int, str]]:
    """Return from where to where each network has its turn."""
    found: list[tuple[int, int, str]] = []
    for i, (mark, _) in enumerate(points):
        role = mark.rpartition(': ')[0]
        if not role:
            continue
        if found and found[-1][2] == role:
            found[-1] = found[-1][0], i, role
        else:
            found.append((i, i, role))
    return found
