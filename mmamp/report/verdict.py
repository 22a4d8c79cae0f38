"""Times, memory and damage, said in one sentence."""

import statistics
from math import ceil
from typing import Any

WARM_UP = 0.2
"""Share of a trial's iterations, the first ones, that is not timed."""


def speed(seconds: list[float]) -> dict[str, float]:
    """Median and spread of a trial's times, after its warm-up.

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
    row: dict[str, Any], reference: dict[str, Any], noise: float
) -> str:
    """The verdict on a dtype.

    Args:
        row (dict): The dtype's row of the report.
        reference (dict): That of float32.
        noise (float): Ratio of two medians of one and the same, that of
            float32 run twice; at least 1.
    """
    dtype = row['dtype']
    if row['failed']:
        return f'{dtype} did not run: {row["failed"]}.'
    parts = []
    healthy = not row['damage']
    if not healthy and not row['rules']:
        worst = row['damage'][0]['text']
        return (
            f'Leave {dtype} off: {worst}, and no rule was found that mends it.'
        )
    gains = _gains(row, reference, noise)
    needs = ''
    if row['rules']:
        number = len(row['rules'])
        needs = f' with {number} rule{"s" * (number > 1)} (amp_rules.py)'
    if gains['pays']:
        parts.append(f'Turn {dtype} on{needs}')
    elif gains['unclear']:
        parts.append(
            f'{dtype} works{needs}; whether it pays cannot be told, try more '
            '--iters on a quieter machine'
        )
    else:
        parts.append(f'{dtype} works{needs}, but does not pay')
    parts.append(gains['text'])
    if healthy:
        parts.append('nothing is lost')
    else:
        parts.append('nothing is lost with the rules')
    return f'{parts[0]}: {"; ".join(parts[1:])}.'


def _gains(
    row: dict[str, Any], reference: dict[str, Any], noise: float
) -> dict[str, Any]:
    of = row.get('with_rules') or row
    time = of['seconds']['median'] / reference['seconds']['median']
    # Not every system says how much memory a process takes.
    is_known = of['peak_memory'] and reference['peak_memory']
    memory = of['peak_memory'] / reference['peak_memory'] if is_known else 1.0
    saves = memory < 0.9 and time < 1.1
    pays = time < min(0.97, 1 / noise) or saves
    unclear = not pays and time < noise
    text = (
        f"{time:.2f} of float32's time (which differs by {noise:.2f} from run "
        'to run)'
    )
    if is_known:
        text += f', {memory:.2f} of its memory'
    return dict(pays=pays, unclear=unclear, text=text)


def best(rows: list[dict[str, Any]], reference: dict[str, Any]) -> str:
    """The verdict on the config: that on its best dtype.

    Args:
        rows (list[dict]): Of the report, without that of float32, each with
            its ``verdict``.
        reference (dict): That of float32.
    """
    if not rows:
        return 'Only float32 was run: there is nothing to compare.'
    good = [row for row in rows if row['verdict'].startswith('Turn')]

    def time(row: dict[str, Any]) -> float:
        of = row.get('with_rules') or row
        return float(of['seconds']['median'])

    if good:
        return str(min(good, key=time)['verdict'])
    if len(rows) == 1:
        return str(rows[0]['verdict'])
    reasons = ', '.join(_in_short(row, reference) for row in rows)
    return f'Stay in float32 here: {reasons}.'


def _in_short(row: dict[str, Any], reference: dict[str, Any]) -> str:
    """Why a dtype is not turned on."""
    if row['failed']:
        return f'{row["dtype"]} did not run'
    if row['damage'] and not row['rules']:
        return f'{row["dtype"]} breaks it'
    of = row.get('with_rules') or row
    time = of['seconds']['median'] / reference['seconds']['median']
    return f'{row["dtype"]} takes {time:.2f} of its time'
