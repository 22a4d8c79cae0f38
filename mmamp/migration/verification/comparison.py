"""Settings of before and after, side by side."""

from collections.abc import Iterable, Iterator
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


def sample_points(
    schedules: Iterable[Schedule], total: int | None
) -> list[int]:
    """Choose the iterations at which to look at what is scheduled.

    Args:
        schedules (Iterable[Schedule]): The old ones of an optimizer.
        total (int, optional): Iterations in the run.
    """
    points: set[int] = set()
    for schedule in schedules:
        if schedule.at is None:
            continue
        ends = [x + 2 for x in schedule.turns]
        length = max(ends, default=1) if total is None else total
        near = {x + d for x in schedule.turns for d in (-1, 0, 1)}
        points |= {x for x in near if 0 <= x < length}
        points |= {*quarters(length)}
    return sorted(points)


def quarters(total: int) -> list[int]:
    """Return five iterations of a run, from the first to the last."""
    return [min(total * k // 4, total - 1) for k in range(5)]


def compare(
    before: Run,
    after: Run,
    points: dict[str, list[int]],
    ends_by_hand: bool = False,
) -> list[Row]:
    """Compare all settings of all networks.

    Args:
        before (Run): What the 0.x config does.
        after (Run): What the 1.x config does.
        points (dict[str, list[int]]): Iterations at which both runs' learning
            rates are known, by network.
        ends_by_hand (bool): Whether schedules may end a step early. Defaults
            to False.
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
        rows += [
            _schedule_row(name, *both, points[name], ends_by_hand)
            for both in _schedules(old, new)
        ]
    return rows


def _schedules(
    old: Settings, new: Settings
) -> Iterator[tuple[str, Schedule, Schedule]]:
    """Yield what is scheduled; momentum only where it is."""
    yield 'schedule', old.schedule, new.schedule
    if {old.momentum.name, new.momentum.name} != {CONSTANT}:
        yield 'schedule of the momentum', old.momentum, new.momentum


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
    network: str,
    setting: str,
    old: Schedule,
    new: Schedule,
    points: list[int],
    ends_by_hand: bool,
) -> Row:
    if old.at is None or new.at is None:
        # Whatever one is that cannot be told, it is not constant.
        differs = CONSTANT in (old.name, new.name)
        return Row(network, setting, _told(old), _told(new), differs)
    around, margin = {0}, MARGIN
    # What is left of a cosine near zero is of few digits.
    floor = FLOOR * max(map(abs, map(old.at, points)))
    if ends_by_hand:
        floor += old.blur
        around |= {-1, 1, -old.step, old.step}
        margin = MARGIN_BY_HAND
    for i in points:
        if not _is_near(old, new.at(i), i, around, margin, floor):
            before, after = (
                f'{x.name}: {_number(x.at(i))} at iteration {i}'
                for x in (old, new)
                if x.at
            )
            return Row(network, setting, before, after, True)
    shown = quarters(points[-1] + 1)
    return Row(network, setting, _along(old, shown), _along(new, shown), False)


def _told(schedule: Schedule) -> str:
    return schedule.name if schedule.at else f'{schedule.name} (not compared)'


def _along(schedule: Schedule, points: list[int]) -> str:
    assert schedule.at is not None
    values = [_number(schedule.at(i)) for i in points]
    if len(set(values)) == 1:
        return f'constant {values[0]}'
    return f'{schedule.name}: {", ".join(values)}'


MARGIN = 1e-6
"""What a value may be off by, as a share of it, for its last digits."""
FLOOR = 1e-9
"""And at any rate, as a share of the highest value."""
MARGIN_BY_HAND = 1e-3
"""As MARGIN, where a warm-up and a policy are both a step early."""


def _is_near(
    old: Schedule,
    value: float,
    i: int,
    around: set[int],
    margin: float,
    floor: float,
) -> bool:
    """Tell whether a value is right.

    Args:
        old (Schedule): The old values.
        value (float): The new one.
        i (int): The iteration.
        around (set[int]): How many iterations it may be early or late.
        margin (float): By what share of it the value may be off.
        floor (float): And by how much at any rate.
    """
    assert old.at is not None
    values = [old.at(max(i + d, 0)) for d in around]
    slack = margin * max(map(abs, values)) + floor
    return min(values) - slack <= value <= max(values) + slack
