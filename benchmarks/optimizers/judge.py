"""What is right and what is wrong with the runs of an optimizer."""

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mmamp.errors import USAGE

from .trial import Seen
from .watch import EARLY

RIGHT, REFUSED, WRONG, ERROR = VERDICTS = 'right', 'refused', 'wrong', 'error'
"""All as promised; a clear line in place of training; not as promised, and no
word about it; an end that tells a user nothing."""

UNCLEAR = re.compile(
    r'too many values to unpack|unexpected keyword|positional argument'
    r'|has no attribute|is not callable|not subscriptable|cannot unpack'
    r'|not iterable|unsupported operand|object is not|KeyError'
    r'|not supported between'
)
"""What Python itself says of a call that does not fit."""

TOLD = re.compile(
    r'WARNING - (AmpOptimWrapper: .*(?:is dropped|is left out).*)'
)
"""A warning that a checkpoint has not all that it takes to go on from."""

PEAK = 10
"""An iteration at which the schedule's factor is one."""


@dataclass
class Verdict:
    """What is told of an optimizer in a precision.

    Args:
        verdict (str): One of ``VERDICTS``.
        reason (str): Why it is not right; empty if it is.
        note (str): A promise that a run has said it cannot keep.
        trains (bool): Whether it came to the end, finite, and moved.
        skips (bool): Whether the window that was not finite left no trace.
        resumes (bool): Whether runs from checkpoints end the same.
        schedules (bool): Whether the learning rate is the schedule's, and
            the updates follow it.
        loss (list[float]): Before and after.
        time (float, optional): Of an update, over AdamW's.
        memory (float, optional): Of the state, over AdamW's.
    """

    verdict: str
    reason: str
    note: str = ''
    trains: bool = False
    skips: bool = False
    resumes: bool = False
    schedules: bool = False
    loss: tuple[float, ...] = ()
    time: float | None = None
    memory: float | None = None

    def row(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def judge(seen: Seen, reference: dict[str, Any]) -> Verdict:
    """Judge the runs of an optimizer in a precision.

    Args:
        seen (Seen): What came of them.
        reference (dict): What the undisturbed run in float32 saw; empty if
            there was none, or this is it.
    """
    whole = seen.whole
    if not whole:
        return _without_end(seen)
    wrong = dict(
        trains=list(_training(seen)),
        skips=list(_skipping(whole)),
        resumes=list(_resuming(seen)),
        schedules=list(_scheduling(whole)),
        agrees=list(_agreeing(whole, reference)),
        scores=list(_scoring(seen)),
    )
    logs = [seen.log, *seen.logs.values()]
    told = [x[1] for log in logs if (x := TOLD.search(log))]
    reasons = [text for texts in wrong.values() for text in texts]
    return Verdict(
        WRONG if reasons else RIGHT,
        '; '.join(reasons),
        note='; '.join(dict.fromkeys(told)),
        trains=not wrong['trains'],
        skips=not wrong['skips'],
        resumes=not wrong['resumes'] and not told,
        schedules=not wrong['schedules'] and _follows(whole),
        loss=(whole['before'], whole['after']),
        time=seen.cost.get('time'),
        memory=seen.cost.get('memory'),
    )


def _without_end(seen: Seen) -> Verdict:
    said = last_words(seen.log)
    if seen.code == 0:
        return Verdict(WRONG, f'ends before its end with exit code 0: {said}')
    if seen.code != USAGE:
        return Verdict(ERROR, said)
    return Verdict(ERROR if UNCLEAR.search(said) else REFUSED, said)


def last_words(log: str) -> str:
    """Return what a run ended with: its error, without what is around it.

    Args:
        log (str): What it printed.
    """
    lines = [x for x in log.splitlines() if x.strip()]
    for i, line in enumerate(lines[::-1]):
        if re.match(r'mmamp\.\w+: error: |took longer than ', line):
            said = ' '.join(lines[len(lines) - 1 - i :])
            said = re.sub(r'^mmamp\.\w+: error: | \(more in .*', '', said)
            return said[:500]
        if re.match(r'[\w.]*(Error|Exception|Exit|Interrupt|Warning)\b', line):
            places = re.findall(
                r'File ".*site-packages/([^"]+)", line (\d+)', log
            )
            where = f' ({":".join(places[-1])})' if places else ''
            return f'{line[:500]}{where}'
    return lines[-1][:500] if lines else 'says nothing'


def _training(seen: Seen) -> Iterator[str]:
    whole = seen.whole
    if seen.code:
        yield f'ends with exit code {seen.code}: {last_words(seen.log)}'
    if not math.isfinite(whole['after']):
        yield 'weights are not finite at the end'
    elif not any(whole['moved'].values()):
        yield 'weights have not moved'


def _skipping(whole: dict[str, Any]) -> Iterator[str]:
    if whole['skipped'] != 1:
        yield f'{whole["skipped"]} windows are skipped, not 1'
    if whole['spoilt']:
        yield f'the skipped window changes {_some(whole["spoilt"])}'


def _resuming(seen: Seen) -> Iterator[str]:
    for name, resumed in seen.resumed.items():
        if not resumed:
            yield f'--resume {name} fails: {last_words(seen.logs[name])}'
            continue
        if TOLD.search(seen.log + seen.logs[name]):
            continue
        whole, found = seen.whole['end'], resumed['end']
        differ = [
            key
            for key in sorted({*whole, *found})
            if whole.get(key) != found.get(key)
        ]
        if differ:
            yield f'--resume {name} ends with another {_some(differ)}'


def _scheduling(whole: dict[str, Any]) -> Iterator[str]:
    rates = {int(i): rate for i, rate in whole['lr'].items()}
    peak = rates[PEAK]
    if not peak or whole['own_rate']:
        return
    for i, rate in rates.items():
        rising = 0.1 + 0.9 * min(i, 9) / 9
        falling = 1 - 0.999 * min(max(i - 12, 0), 7) / 7
        if abs(rate / peak - rising * falling) > 1e-4:
            yield (
                f'at iteration {i} the rate is {rate / peak:.3g} of its '
                f'peak, by the schedule {rising * falling:.3g}'
            )
            return


def _follows(whole: dict[str, Any]) -> bool:
    """Tell whether there is a rate, and updates become smaller with it."""
    moved, rate = whole['moved'], whole['lr'][str(PEAK)]
    return bool(
        rate and not whole['own_rate'] and moved['19'] < 0.5 * moved['13']
    )


def _agreeing(
    whole: dict[str, Any], reference: dict[str, Any]
) -> Iterator[str]:
    """Compare the first windows with those in float32."""
    if not reference:
        return
    for i in range(EARLY + 1):
        here, there = (x['loss'][str(i)] for x in (whole, reference))
        if abs(here - there) > 0.2 * abs(there):
            yield f'the loss of iteration {i} is {here:.3g}, not {there:.3g}'
            break
    for kind, there in reference['sizes'].items():
        here = whole['sizes'].get(kind, 0.0)
        if there > 1e-12 and not 1 / 8 < here / there < 8:
            yield f'{kind} is {here / there:.3g} times that in float32'
            break


def _scoring(seen: Seen) -> Iterator[str]:
    if not seen.whole['has_modes']:
        return
    if not seen.scores:
        yield 'the last checkpoint cannot be tested'
        return
    ((name, saved),) = seen.scores.items()
    validated = list(seen.whole['scores'].values())[-1][name]
    if not math.isclose(saved, validated, rel_tol=1e-5):
        yield (
            f'the last checkpoint scores {saved:.4g}, its validation '
            f'{validated:.4g}'
        )


def _some(names: list[str], shown: int = 3) -> str:
    more = f' and {len(names) - shown} more' if len(names) > shown else ''
    return f'{", ".join(names[:shown])}{more}'
