"""Times, memory and damage, said in one sentence."""

import statistics
from math import ceil
from typing import Any

WARM_UP = 0.2
"""Share of a trial's iterations, the first ones, that is not timed."""


def speed(seconds: list[float]) -> dict[str, float]:
    """Return median and spread of a trial's times, after its warm-up.

    Args:
        seconds (list[float]): Of each iteration.

    Returns:
        dict[str, float]: ``median``, ``low`` and ``high`` (the first and the
        last quarter begin there), in seconds an iteration.
    """
    timed = seconds[ceil(len(seconds) * WARM_UP) :] or seconds
    median = statistics.median(timed)
    if len(timed) < 2:
        return dict(median=median, low=median, high=median)
    low, _, high = statistics.quantiles(timed, n=4, method='inclusive')
    return dict(median=median, low=low, high=high)


def sentence(
    row: dict[str, Any], reference: dict[str, Any], noise: float | None
) -> str:
    """Say the verdict on a dtype, in a sentence.

    Args:
        row (dict): The dtype's row of the report.
        reference (dict): That of float32.
        noise (float, optional): Ratio of two medians of one and the same,
            that of float32 run twice; at least 1. None if the second run
            failed.
    """
    dtype = row['dtype']
    standing = standing_of(row, reference, noise)
    if standing == 'failed':
        return f'{dtype} did not run: {row["failed"].rstrip(".")}.'
    if standing == 'broken':
        worst = row['damage'][0]['text']
        return (
            f'Leave {dtype} off: {worst}, and no rule was found that mends it.'
        )
    rules = ''
    if number := len(row['rules']):
        rules = f' with {number} rule{"s" * (number > 1)}'
    first = dict(
        on=f'Turn {dtype} on{rules}',
        unclear=f'{dtype} works{rules}; whether it pays cannot be told, try '
        'more --iters on a quieter machine',
        off=f'{dtype} works{rules}, but does not pay',
    )[standing]
    lost = 'nothing is lost'
    counts = (row.get('with_rules') or row).get('skipped', {}).values()
    if number := sum(each[-1] for each in counts if each):
        # As a loss scale needs to settle; more of them is damage.
        steps = f'step{"s" * (number > 1)}'
        lost = f'nothing is lost but {number} skipped {steps}'
    lost += ' with the rules' if rules else ''
    return f'{first}: {_gains(row, reference, noise)}; {lost}.'


def standing_of(
    row: dict[str, Any], reference: dict[str, Any], noise: float | None
) -> str:
    """Say what the verdict on a dtype is, in a word.

    Args:
        row (dict): As of :func:`sentence`.
        reference (dict): As of :func:`sentence`.
        noise (float, optional): As of :func:`sentence`.

    Returns:
        str: ``'on'``, ``'unclear'``, ``'off'``, ``'broken'``: there is damage
        and no rule that mends it, or ``'failed'``.
    """
    if row['failed']:
        return 'failed'
    if row['damage'] and not row['rules']:
        return 'broken'
    time, memory = _time(row, reference), _memory(row, reference)
    if memory is not None and memory < 0.9 and time < 1.1:
        return 'on'
    if noise is None:
        return 'unclear' if time < 1 else 'off'
    if time < min(0.97, 1 / noise):
        return 'on'
    return 'unclear' if time < noise else 'off'


def _time(row: dict[str, Any], reference: dict[str, Any]) -> float:
    """Return the time of an iteration, over that in float32."""
    of = row.get('with_rules') or row
    return float(of['seconds']['median'] / reference['seconds']['median'])


def _memory(row: dict[str, Any], reference: dict[str, Any]) -> float | None:
    """Return the peak memory over that in float32, if the system says it."""
    of = row.get('with_rules') or row
    if not of['peak_memory'] or not reference['peak_memory']:
        return None
    return float(of['peak_memory'] / reference['peak_memory'])


def _gains(
    row: dict[str, Any], reference: dict[str, Any], noise: float | None
) -> str:
    differs = (
        'it is not known by how much that differs from run to run, since '
        'its second run failed'
        if noise is None
        else f'which differs by {noise:.2f} from run to run'
    )
    text = f"{_time(row, reference):.2f} of float32's time ({differs})"
    memory = _memory(row, reference)
    return text if memory is None else f'{text}, {memory:.2f} of its memory'


def chosen(
    rows: list[dict[str, Any]],
    reference: dict[str, Any],
    noise: float | None,
) -> dict[str, Any] | None:
    """Choose the dtype to turn on, or the one that may pay.

    Args:
        rows (list[dict]): Of the report, without that of float32.
        reference (dict): That of float32.
        noise (float, optional): As of :func:`sentence`.

    Returns:
        dict or None: Of those that pay the fastest one, else of those that
        may pay; None if none does.
    """
    for wanted in ('on', 'unclear'):
        found = [
            row for row in rows if standing_of(row, reference, noise) == wanted
        ]
        if found:
            return min(found, key=lambda row: _time(row, reference))
    return None


def best(
    rows: list[dict[str, Any]],
    reference: dict[str, Any],
    noise: float | None,
) -> str:
    """Say the verdict on the config: that on its best dtype.

    Args:
        rows (list[dict]): As of :func:`chosen`.
        reference (dict): As of :func:`chosen`.
        noise (float, optional): As of :func:`sentence`.
    """
    if not rows:
        return 'Only float32 was run: there is nothing to compare.'
    row = chosen(rows, reference, noise)
    if row is None and len(rows) == 1:
        row = rows[0]
    if row is not None:
        return sentence(row, reference, noise)
    reasons = ', '.join(_in_short(row, reference) for row in rows)
    return f'Stay in float32 here: {reasons}.'


def _in_short(row: dict[str, Any], reference: dict[str, Any]) -> str:
    """Say why a dtype is not turned on."""
    if row['failed']:
        return f'{row["dtype"]} did not run'
    if row['damage'] and not row['rules']:
        return f'{row["dtype"]} breaks it'
    return f'{row["dtype"]} takes {_time(row, reference):.2f} of its time'
