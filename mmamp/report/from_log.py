"""The report of a run that has been, from what it logged."""

import datetime
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from mmamp.config.launch import UsageError
from mmamp.version import __version__

_SCALE, _SKIPPED = 'loss_scale', 'skipped_steps'
_NOT_CURVES = ('time', 'data_time', 'memory', 'eta', 'epoch', 'iter', 'step')
_REPORTED = (_SCALE, _SKIPPED, 'skip_rate', 'grad_norm')


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
            f'*/vis_data/scalars.json into its work dir, but {what}'
        )
    losses: dict[str, list[float | None]] = defaultdict(list)
    scales: dict[str, list[float]] = defaultdict(list)
    skipped: dict[str, list[int]] = defaultdict(list)
    steps = []
    for line in _training_lines(logs):
        steps.append(line['step'])
        for key, value in line.items():
            name, _, what = key.rpartition('.')
            if what == _SCALE:
                scales[name].append(value)
            elif what == _SKIPPED:
                skipped[name].append(int(value))
            elif what not in _REPORTED and 'loss' in key:
                losses[key].append(value if math.isfinite(value) else None)
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
        verdict=_verdict(scales, skipped, max(steps, default=0)),
        dtypes=[row],
    )


def _training_lines(logs: list[Path]) -> list[dict[str, Any]]:
    """Lines of training, those of a later run in place of an earlier one's."""
    lines: dict[int, dict[str, Any]] = {}
    for log in logs:
        new = [json.loads(line) for line in log.read_text().splitlines()]
        new = [x for x in new if 'step' in x and any('lr' in k for k in x)]
        if new:
            first = new[0]['step']
            lines = {k: v for k, v in lines.items() if k < first}
        lines.update((x['step'], x) for x in new)
    return [lines[step] for step in sorted(lines)]


def _verdict(
    scales: dict[str, list[float]],
    skipped: dict[str, list[int]],
    iterations: int,
) -> str:
    if not iterations:
        return (
            'Nothing was logged: the run was shorter than the logging '
            'interval.'
        )
    if not skipped:
        return (
            'The log says nothing of mixed precision: the run was in float32, '
            'or had no AmpMonitorHook.'
        )
    parts = []
    for name, counts in skipped.items():
        who = name or 'optim_wrapper'
        text = f'{who} skipped {counts[-1]} of {iterations} iterations'
        if curve := scales.get(name):
            text += f', its loss scale went from {curve[0]:g} to {curve[-1]:g}'
        parts.append(text)
    return '; '.join(parts) + '.'
