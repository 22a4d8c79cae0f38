"""The report as one page, which needs nothing from elsewhere."""

from pathlib import Path
from typing import Any

from . import pictures
from .histograms import Sizes
from .rendering import render

TEMPLATE = Path(__file__).with_name('page.html')
SHOWN = 8
"""Modules whose pictures are on the page, those that lose the most first."""


def write_page(out: Path, report: dict[str, Any]) -> Path:
    """Write ``report.html``.

    Args:
        out (Path): The folder that it goes to.
        report (dict): As ``schema.json`` describes it.

    Returns:
        Path: Of the page.
    """
    return render(
        TEMPLATE,
        out / 'report.html',
        report=report,
        colours=pictures.COLOURS,
        losses=_losses(report['dtypes']),
        scales=_scales(report['dtypes']),
        modules=_modules(report['dtypes']),
    )


def _ran(row: dict[str, Any]) -> dict[str, Any]:
    return dict(row.get('modules') or {})


def _losses(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Draw a picture of each loss, with a line for each dtype."""
    names = dict.fromkeys(
        name
        for row in rows
        for name in row.get('losses', {})
        if 'loss' in name.lower()
    )
    return [
        dict(
            name=name,
            picture=pictures.curves(
                {
                    row['dtype']: row['losses'][name]
                    for row in rows
                    if name in row.get('losses', {})
                },
                rows[0].get('steps'),
            ),
        )
        for name in names
    ]


def _scales(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Draw loss scale and skipped steps of each optimizer with a scale."""
    found = []
    for row in rows:
        for name, skipped in row.get('skipped', {}).items():
            scale = row['scales'].get(name, [])
            moves = any(x not in (1, None) for x in scale)
            if not moves and not any(skipped):
                continue
            found.append(
                dict(
                    name=name or 'optim_wrapper',
                    dtype=row['dtype'],
                    skipped=skipped[-1],
                    scale=pictures.curves(
                        {row['dtype']: scale}, row.get('steps'), log=True
                    ),
                    skips=pictures.curves(
                        {row['dtype']: skipped}, row.get('steps')
                    ),
                )
            )
    return found


def _modules(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return modules, those that lose the most in any dtype first."""
    reference = next((_ran(x) for x in rows if x['dtype'] == 'float32'), {})
    others = [x for x in rows if x['dtype'] != 'float32' and _ran(x)]
    if not reference:
        return []
    found = []
    for name, module in reference.items():
        parts = [
            part
            for what in ('outputs', 'gradients')
            if (part := _part(name, what, rows, others))
        ]
        found.append(
            dict(
                name=name,
                kind=module['kind'],
                parts=parts,
                worst=max((part['worst'] for part in parts), default=0),
            )
        )
    found.sort(key=lambda module: -module['worst'])
    for module in found[:SHOWN]:
        for part in module['parts']:
            part['picture'] = pictures.exponents(
                part['sizes'], part['shown_dtype']
            )
    return found


def _part(
    name: str,
    part: str,
    rows: list[dict[str, Any]],
    others: list[dict[str, Any]],
) -> dict[str, Any] | None:
    """Compare the outputs, or gradients, of a module between dtypes."""
    sizes = {
        row['dtype']: Sizes.of(_ran(row)[name][part])
        for row in rows
        if name in _ran(row)
    }
    if not any(x.total for x in sizes.values()):
        return None
    shares = [
        dict(
            dtype=row['dtype'],
            underflow=_ran(row)[name][part]['underflow'],
            overflow=_ran(row)[name][part]['overflow'],
        )
        for row in others
        if name in _ran(row)
    ]
    worst = max(
        (max(x['underflow'], x['overflow']) for x in shares), default=0
    )
    dtypes = [x['dtype'] for x in shares]
    return dict(
        what=part,
        sizes=sizes,
        shares=shares,
        worst=worst,
        shown_dtype='float16'
        if 'float16' in dtypes
        else (dtypes or ['float16'])[0],
    )
