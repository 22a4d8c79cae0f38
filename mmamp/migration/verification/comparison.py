"""Settings of before and after, side by side."""

from dataclasses import dataclass
from typing import Any

from .settings import CONSTANT, SCALER, Run, Schedule, Settings

NONE = 'none'
SHOWN = ('lr', 'betas', 'momentum', 'weight_decay')
"""Options of an optimizer that are always shown; others where they differ."""
INTERNAL = ('params', 'initial_lr', 'foreach', 'fused', 'differentiable')


@dataclass(frozen=True)
class Row:
    """One setting of one network.

    Args:
        network (str): Its name; empty for a single optimizer.
        setting (str): What it is.
        before (str): In 0.x.
        after (str): In 1.x.
        differs (bool): Whether the two are not the same.
    """

    network: str
    setting: str
    before: str
    after: str
    differs: bool


def sample_points(schedule: Schedule, total: int | None) -> list[int]:
    """Choose the iterations at which to look at a learning rate.

    Args:
        schedule (Schedule): The old one.
        total (int, optional): Iterations in the run.
    """
    if schedule.at is None:
        return []
    if total is None:
        total = max((x + 2 for x in schedule.turns), default=1)
    points = {*quarters(total)}
    points |= {x + d for x in schedule.turns for d in (-1, 0, 1)}
    return sorted(x for x in points if 0 <= x < total)


def quarters(total: int) -> list[int]:
    """Return five iterations of a run, from the first to the last."""
    return [min(total * k // 4, total - 1) for k in range(5)]


def compare(
    before: Run, after: Run, points: dict[str, list[int]]
) -> list[Row]:
    """Compare all settings of all networks.

    Args:
        before (Run): What the 0.x config does.
        after (Run): What the 1.x config does.
        points (dict[str, list[int]]): Iterations at which both runs' learning
            rates are known, by network.
    """
    rows = []
    for name in {**before.networks, **after.networks}:
        old, new = before.networks.get(name), after.networks.get(name)
        if old is None or new is None:
            rows.append(
                Row(name, 'optimizer', _kind(old), _kind(new), differs=True)
            )
            continue
        rows += [
            Row(name, setting, str(x), str(y), x != y)
            for setting, x, y in _pairs(old, new, before, after)
        ]
        rows.append(_schedule_row(name, old, new, points[name]))
    return rows


def _kind(settings: Settings | None) -> str:
    return NONE if settings is None else settings.optimizer


def _pairs(
    old: Settings, new: Settings, before: Run, after: Run
) -> list[tuple[str, Any, Any]]:
    """Return each setting, before and after, as it is shown."""
    pairs = [('optimizer', old.optimizer, new.optimizer)]
    for key in {**old.options, **new.options}:
        one, other = _option(old, key), _option(new, key)
        is_shown = key in SHOWN or (one != other and NONE not in (one, other))
        if key not in INTERNAL and is_shown:
            pairs.append((_words(key), one, other))
    for key in old.parameters:
        one, other = _parameter(old, key), _parameter(new, key)
        if one != other or _is_special(old, key):
            pairs.append((key, one, other))
    return [
        *pairs,
        ('accumulation', old.accumulation, new.accumulation),
        ('updates', _updates(old, before), _updates(new, after)),
        ('gradient clipping', _clip(old), _clip(new)),
        ('loss scale', _scale(old), _scale(new)),
    ]


def _words(key: str) -> str:
    return {'lr': 'learning rate'}.get(key, key.replace('_', ' '))


def _option(settings: Settings, key: str) -> str:
    if key not in settings.options:
        return NONE
    return _number(settings.options[key])


def _number(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ', '.join(map(_number, value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f'{value:.6g}'


def _parameter(settings: Settings, key: str) -> str:
    lr, decay = settings.parameters.get(key, (None, None))
    if lr is None:
        return 'not trained'
    return f'lr {_number(lr)}, weight decay {_number(decay)}'


def _is_special(settings: Settings, key: str) -> bool:
    options = settings.options
    general = options.get('lr'), options.get('weight_decay')
    return settings.parameters[key] != general


def _updates(settings: Settings, run: Run) -> str:
    if run.by_epoch or run.length is None:
        length = f', {run.length} epochs' if run.length else ''
        return f'{settings.updates} an iteration{length}'
    return f'{settings.updates * run.length // 1} in the run'


def _clip(settings: Settings) -> str:
    if not settings.clip:
        return NONE
    return ', '.join(f'{k} {_number(v)}' for k, v in settings.clip.items())


def _scale(settings: Settings) -> str:
    scale = settings.scale
    if scale is None:
        return NONE
    if not isinstance(scale, dict):
        return f'static {_number(scale)}'
    rest = ', '.join(
        f'{key} {_number(value)}'
        for key, value in scale.items()
        if key != 'init_scale' and value != SCALER.get(key)
    )
    begin = f'dynamic from {_number(scale["init_scale"])}'
    return f'{begin}, {rest}' if rest else begin


def _schedule_row(
    name: str, old: Settings, new: Settings, points: list[int]
) -> Row:
    one, other = old.schedule, new.schedule
    if one.at is None or other.at is None:
        # Whatever one is that cannot be told, it is not constant.
        differs = CONSTANT in (one.name, other.name)
        return Row(name, 'schedule', _told(one), _told(other), differs)
    for i in points:
        if not _is_near(one, other.at(i), i):
            where = f' at iteration {i}'
            texts = [_number(x.at(i)) + where for x in (one, other) if x.at]
            pair = [f'{x.name}: ' for x in (one, other)]
            return Row(
                name, 'schedule', pair[0] + texts[0], pair[1] + texts[1], True
            )
    shown = quarters(points[-1] + 1)
    return Row(
        name, 'schedule', _along(one, shown), _along(other, shown), False
    )


def _told(schedule: Schedule) -> str:
    return schedule.name if schedule.at else f'{schedule.name} (not compared)'


def _along(schedule: Schedule, points: list[int]) -> str:
    assert schedule.at is not None
    values = [_number(schedule.at(i)) for i in points]
    if len(set(values)) == 1:
        return f'constant {values[0]}'
    return f'{schedule.name}: {", ".join(values)}'


def _is_near(old: Schedule, value: float, i: int) -> bool:
    """Tell whether a learning rate is right, or a step early or late."""
    assert old.at is not None
    around = [old.at(max(i + d, 0)) for d in (-old.slack, 0, old.slack)]
    margin = 0.01 * max(around) + 1e-12
    return min(around) - margin <= value <= max(around) + margin
