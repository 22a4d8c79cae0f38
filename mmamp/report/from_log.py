"""The report of a run that has been, from what it logged."""

import datetime
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from mmamp.errors import UsageError
from mmamp.logging.scalars import LOSS_SCALE, SCALARS, SKIPPED_STEPS
from mmamp.version import __version__

from .watching import append_at


def report_from_log(work_dir: Path) -> dict[str, Any]:
    """Read what a run has logged.

    Args:
        work_dir (Path): Of the run; of several, resumed ones, all are read.

    Returns:
        dict: The report, as ``schema.json`` describes it.

    Raises:
        UsageError: If there is no log.
    """
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not logs:
        found = (
            sorted(x.name for x in work_dir.iterdir())
            if (work_dir.is_dir())
            else None
        )
        what = (
            'there is no such folder'
            if found is None
            else f'it holds {", ".join(found[:8]) or "nothing"}'
        )
        raise UsageError(
            f'no log in {str(work_dir)!r}: a run writes '
            '*/vis_data/scalars.json into its work dir once it has run for '
            f'default_hooks.logger.interval iterations, but {what}'
        )
    losses: dict[str, list[float | None]] = defaultdict(list)
    scales: dict[str, list[float | None]] = defaultdict(list)
    skipped: dict[str, list[int | None]] = defaultdict(list)
    steps: list[int] = []
    for line in _training_lines(logs):
        for key, value in line.items():
            name, _, what = key.rpartition('.')
            if what == LOSS_SCALE:
                append_at(scales[name], value, len(steps))
            elif what == SKIPPED_STEPS:
                append_at(skipped[name], int(value), len(steps))
            elif what not in SCALARS and 'loss' in key:
                number = value if math.isfinite(value) else None
                append_at(losses[key], number, len(steps))
        steps.append(line['step'])
    row = dict(
        dtype='as logged',
        failed=None,
        damage=[],
        rules=[],
        minimal=True,
        verdict=None,
        losses=losses,
        scales=scales,
        skipped=skipped,
        steps=steps,
        modules={},
    )
    now = datetime.datetime.now(datetime.timezone.utc)
    return dict(
        version=1,
        mmamp=__version__,
        config=str(work_dir),
        machine=None,
        date=now.isoformat(timespec='seconds'),
        iterations=max(steps, default=0),
        trials=0,
        search_trials=0,
        noise=None,
        amp_rules=None,
        verdict=_verdict(scales, skipped, max(steps, default=0)),
        dtypes=[row],
    )


def _training_lines(logs: list[Path]) -> list[dict[str, Any]]:
    """Return lines of training, a later run's in place of an earlier one's."""
    lines: dict[int, dict[str, Any]] = {}
    for log in logs:
        new = _parsed(log)
        new = [x for x in new if 'step' in x and any('lr' in k for k in x)]
        if new:
            first = new[0]['step']
            lines = {k: v for k, v in lines.items() if k < first}
        lines.update((x['step'], x) for x in new)
    return [lines[step] for step in sorted(lines)]


def _parsed(log: Path) -> list[dict[str, Any]]:
    """Parse the lines of a file; a killed run may have cut off the last."""
    lines = log.read_text().splitlines()
    found = []
    for i, line in enumerate(lines):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            if i + 1 < len(lines):
                raise UsageError(
                    f'{log}, line {i + 1}, is not JSON: {line[:80]!r}'
                ) from error
            print(f'{log}: the last line is cut off, and left out')
    return found


def _verdict(
    scales: dict[str, list[float | None]],
    skipped: dict[str, list[int | None]],
    iterations: int,
) -> str:
    if not iterations:
        return (
            'Nothing was logged: the run was shorter than the logging '
            'interval.'
        )
    if not skipped:
        return (
            f'In {iterations} iterations no line of the log has a loss scale '
            'or skipped steps: the run was in float32, had no AmpMonitorHook, '
            'or was too short for it to write any.'
        )
    parts = []
    for name, counts in skipped.items():
        who = name or 'optim_wrapper'
        number = counts[-1]
        text = f'{who} skipped {number} step{"s" * (number != 1)}'
        if curve := [x for x in scales.get(name, []) if x is not None]:
            text += (
                f', its loss scale was {curve[0]:g} when first logged and '
                f'{curve[-1]:g} at last'
            )
        parts.append(text)
    return f'In {iterations} iterations {"; ".join(parts)}.'
