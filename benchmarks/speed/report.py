"""Tables of ratios, in the terminal and in Markdown."""

import statistics
from collections.abc import Sequence

from rich.table import Table

from mmamp.utils.consoles import new_console

from .checkpoints import Stops
from .comparisons import EPOCH, Comparison
from .measure import Estimate, Measured, memory_ratio, ratio
from .variants import Variant

Rows = list[tuple[str, ...]]

STOP = 0.15
"""Aimed at: how long training stands still for what is written beside it."""
EMPTY_STEP, EMPTY_GROWTH, BOUNDARY = 0.35, 1.1, 0.1
"""Aimed at: ms of an empty step of mmamp's, its growth, s of an epoch."""


def ratio_rows(
    asked: Sequence[Comparison], found: dict[Variant, Measured]
) -> Rows:
    """Make a table of comparisons, its head first.

    Args:
        asked (Sequence[Comparison]): The comparisons.
        found (dict[Variant, Measured]): What was measured.
    """
    rows: Rows = [('comparison', 'ratio (interval)', 'target', 'verdict')]
    for item in asked:
        of, over = found[item.of], found[item.over]
        if item.quantity == 'time':
            estimate = ratio(of, over)
            text = str(estimate)
        elif item.quantity == 'training memory':
            found_ratio = memory_ratio(of, over)
            if found_ratio is None:
                continue
            estimate = found_ratio
            text = str(estimate)
        elif of.memory and over.memory:
            memory = of.memory / over.memory
            estimate = Estimate(memory, memory, memory)
            text = f'{memory:.2f}'
        else:
            continue
        target = '' if item.target is None else f'<= {item.target:.2f}'
        rows.append((item.what, text, target, _verdict(item, estimate)))
    return rows


def _verdict(item: Comparison, estimate: Estimate) -> str:
    if item.target is None:
        return ''
    if not item.applies:
        return f'no {item.of.dtype} instructions: the target does not apply'
    return _met(estimate, item.target)


def _met(estimate: Estimate, target: float) -> str:
    verdict = 'met' if estimate.median <= target else 'missed'
    if estimate.low <= target < estimate.high:
        verdict += ', within noise'
    return verdict


def variant_rows(found: dict[Variant, Measured]) -> Rows:
    """Make a table of times and memory, its head first."""
    rows: Rows = [
        (
            *('variant', 'ms an iteration', 'peak memory, MiB'),
            'of it before training',
        )
    ]
    for variant, seen in found.items():
        name = f'{variant} (again)' if variant.copy else str(variant)
        memory = [
            f'{x / 2**20:.0f}' if x else ''
            for x in (seen.memory, max(seen.before))
        ]
        rows.append((name, f'{seen.milliseconds.median:.1f}', *memory))
    return rows


def import_rows(found: dict[str, int]) -> Rows:
    """Make a table of what importing takes, its head first.

    Args:
        found (dict[str, int]): Bytes above those of torch, by what it is.
    """
    return [
        ('what', "MiB above torch's"),
        *((what, f'{x / 2**20:.0f}') for what, x in found.items()),
    ]


def empty_rows(
    steps: dict[Variant, Measured], epochs: dict[Variant, Measured]
) -> Rows:
    """Make a table of what the Runner takes beside the training step.

    Args:
        steps (dict[Variant, Measured]): Empty steps, early and late.
        epochs (dict[Variant, Measured]): Of small epochs.
    """
    rows: Rows = [('what', 'mmamp', 'stock', 'target', 'verdict')]
    of_way: dict[str, list[Measured]] = {}
    for variant, seen in steps.items():
        of_way.setdefault(variant.way, []).append(seen)
    lengths = sorted({variant.filled for variant in steps})
    ours, theirs = of_way.values()
    for length, our, their in zip(lengths, ours, theirs, strict=True):
        rows.append(
            (
                f'ms of an empty step after {length:,} iterations',
                str(our.milliseconds),
                str(their.milliseconds),
                f'<= {EMPTY_STEP}',
                _met(our.milliseconds, EMPTY_STEP),
            )
        )
    growths = [ratio(way[-1], way[0]) for way in (ours, theirs)]
    rows.append(
        (
            'the last of these over the first',
            *map(str, growths),
            f'<= {EMPTY_GROWTH}',
            _met(growths[0], EMPTY_GROWTH),
        )
    )
    seconds = [x.milliseconds.median * EPOCH / 1000 for x in epochs.values()]
    rows.append(
        (
            f's of an epoch of {EPOCH} empty steps',
            *(f'{x:.3f}' for x in seconds),
            f'<= {BOUNDARY}',
            'met' if seconds[0] <= BOUNDARY else 'missed',
        )
    )
    return rows


def stop_rows(stops: Stops) -> Rows:
    """Make a table of what a checkpoint costs the training.

    Args:
        stops (Stops): What was seen.
    """
    kinds = (stops.beside, stops.at_once)
    busy, idle = (statistics.median(x) for x in (stops.busy, stops.idle))
    return [
        ('what', 'async_save=True', 'False', 'target', 'verdict'),
        (
            's that training stands still for a checkpoint',
            *(str(Estimate.of([seconds[1:]])) for seconds in kinds),
            '',
            '',
        ),
        (
            'the same for the first one',
            *(f'{seconds[0]:.2f}' for seconds in kinds),
            '',
            '',
        ),
        (
            'the first row, over that without it',
            str(stops.ratio),
            '1',
            f'<= {STOP}',
            _met(stops.ratio, STOP),
        ),
        (
            'an iteration while it is written, over one before',
            f'{busy / idle:.2f}',
            '',
            '',
            '',
        ),
    ]


def shown(title: str, rows: Rows) -> str:
    """Print a table, and return it in Markdown, under its title.

    Args:
        title (str): What is in it.
        rows (list[tuple[str]]): Its head first.
    """
    table = Table(*rows[0], title=title, title_justify='left')
    for row in rows[1:]:
        table.add_row(*row)
    new_console().print(table)
    lines = [rows[0], ('---',) * len(rows[0]), *rows[1:]]
    text = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
    return f'## {title}\n\n{text}'
