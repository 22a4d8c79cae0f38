"""Turns, ratios and how well they are known."""

import math
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from .records import Records, Seen, Setting
from .trainee import Trainee
from .variants import Variant


@dataclass(frozen=True)
class Measured:
    """What was seen of a variant.

    Args:
        seconds (tuple[tuple[float]]): Of an iteration, in each round of each
            process.
        before (tuple[int]): Peak in bytes of each process before its first
            iteration; 0 where it is not known.
        peaks (tuple[int]): The same, of all iterations too.
    """

    seconds: tuple[tuple[float, ...], ...]
    before: tuple[int, ...] = (0,)
    peaks: tuple[int, ...] = (0,)

    @classmethod
    def of(cls, seen: Sequence[Seen]) -> 'Measured':
        """Put together what was seen of several processes.

        Args:
            seen (Sequence[Seen]): Of each.
        """
        return cls(
            tuple(x.seconds for x in seen),
            tuple(x.before for x in seen),
            tuple(x.peak for x in seen),
        )

    @property
    def memory(self) -> int:
        """Return the peak in bytes of all processes; 0 if it is not known."""
        return max(self.peaks)

    @property
    def milliseconds(self) -> 'Estimate':
        """Return the milliseconds of an iteration."""
        return Estimate.of([[s * 1000 for s in x] for x in self.seconds])


@dataclass(frozen=True)
class Estimate:
    """A median, and how well it is known.

    Args:
        median (float): Of all processes' medians.
        low (float): Where the 95 % confidence interval of the median begins;
            of fewer than 6 values the least.
        high (float): Where it ends; of fewer than 6 values the greatest.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seen: Sequence[Sequence[float]]) -> 'Estimate':
        """Estimate a value from what was seen in each round of each process.

        Rounds of one process do not differ as much as two processes do: the
        interval is that of processes, unless there was but one.

        Args:
            seen (Sequence[Sequence[float]]): The values.
        """
        values = sorted(
            map(statistics.median, seen) if len(seen) > 1 else seen[0]
        )
        outside = _outside_interval(len(values))
        return cls(
            statistics.median(values), values[outside], values[-1 - outside]
        )

    def __str__(self) -> str:
        return f'{self.median:.2f} ({self.low:.2f} to {self.high:.2f})'


def ratio(of: Measured, over: Measured) -> Estimate:
    """Estimate the ratio of the times of two variants, round by round.

    Args:
        of (Measured): The numerator.
        over (Measured): The denominator.
    """
    return Estimate.of(
        [
            [a / b for a, b in zip(*rounds, strict=True)]
            for rounds in zip(of.seconds, over.seconds, strict=True)
        ]
    )


def memory_ratio(of: Measured, over: Measured) -> Estimate | None:
    """Estimate the ratio of the memory that training takes, by process.

    What a process had before the first iteration does not count.

    Args:
        of (Measured): The numerator.
        over (Measured): The denominator.

    Returns:
        Estimate: None where the system does not say.
    """
    ours, theirs = (
        [p - b for p, b in zip(x.peaks, x.before, strict=True)]
        for x in (of, over)
    )
    if min(ours + theirs) <= 0:
        return None
    return Estimate.of([[a / b] for a, b in zip(ours, theirs, strict=True)])


def _outside_interval(num: int) -> int:
    """Count the values at each end that a median's 95 % interval leaves out.

    That of the sign test, whatever the values' distribution is: how many of
    them are below the true median is as with tossed coins.
    """
    outside, tail = -1, 0.0
    while (tail := tail + math.comb(num, outside + 1) / 2**num) <= 0.025:
        outside += 1
    return max(outside, 0)


def measure(
    setting: Setting, starts: int, records: Records, work_dir: Path
) -> dict[Variant, Measured]:
    """Have variants train in turns, in new processes several times.

    What is kept of it is not measured again.

    Args:
        setting (Setting): What to compare.
        starts (int): Processes of each variant, one after the other.
        records (Records): What is kept; what is measured is put there.
        work_dir (Path): Where logs go.

    Raises:
        RuntimeError: If one of the processes fails.
    """
    pieces = records.find(setting, starts)
    for start in range(len(pieces), starts):
        pieces.append(_measure_once(setting, work_dir / str(start)))
        records.add(setting, pieces[-1])
    return {
        v: Measured.of([piece[v] for piece in pieces])
        for v in setting.variants
    }


def _measure_once(setting: Setting, work_dir: Path) -> dict[Variant, Seen]:
    """Have a process of each variant train in turns.

    Each round goes through all of them, every other one backwards, so that
    a machine that becomes slower favours none. One turn before that is a
    warm-up.
    """
    with ExitStack() as stack:
        trainees = [
            stack.enter_context(Trainee(v, work_dir / str(i), setting.threads))
            for i, v in enumerate(setting.variants)
        ]
        seconds = _turns(trainees, setting.rounds, setting.iterations)
    return {
        trainee.variant: Seen(its, trainee.before, trainee.peak)
        for trainee, its in zip(trainees, seconds, strict=True)
    }


def _turns(
    trainees: Sequence[Trainee], rounds: int, iterations: int
) -> list[tuple[float, ...]]:
    """Measure seconds of an iteration of each trainee, in each round."""
    for trainee in trainees:
        trainee.run(iterations)
    seen: list[list[float]] = [[] for _ in trainees]
    order = list(zip(trainees, seen, strict=True))
    for _ in range(rounds):
        for trainee, its in order:
            its.append(trainee.run(iterations) / iterations)
        order.reverse()
    return [tuple(its) for its in seen]
