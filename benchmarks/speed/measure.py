"""Turns, ratios and how well they are known."""

import math
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from .trainee import Trainee
from .variants import Variant


@dataclass(frozen=True)
class Measured:
    """What was seen of a variant.

    Args:
        seconds (tuple[tuple[float]]): Of an iteration, in each round of each
            process.
        memory (int): Peak in bytes; 0 where it is not known.
    """

    seconds: tuple[tuple[float, ...], ...]
    memory: int

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
    variants: Sequence[Variant],
    starts: int,
    rounds: int,
    iterations: int,
    work_dir: Path,
    threads: int | None = None,
) -> dict[Variant, Measured]:
    """Have variants train in turns, in new processes several times.

    Each round goes through all of them, every other one backwards, so that
    a machine that becomes slower favours none. One turn before that is a
    warm-up.

    Args:
        variants (Sequence[Variant]): What to compare.
        starts (int): Processes of each, one after the other.
        rounds (int): How often each process has its turn.
        iterations (int): In a turn.
        work_dir (Path): Where logs go.
        threads (int, optional): On a CPU. Defaults to None: torch's default.

    Raises:
        RuntimeError: If one of the processes fails.
    """
    seconds: dict[Variant, list[tuple[float, ...]]] = {v: [] for v in variants}
    memory = dict.fromkeys(variants, 0)
    for start in range(starts):
        with ExitStack() as stack:
            trainees = [
                stack.enter_context(
                    Trainee(v, work_dir / str(start) / str(i), threads)
                )
                for i, v in enumerate(variants)
            ]
            for trainee, seen in zip(
                trainees, _turns(trainees, rounds, iterations), strict=True
            ):
                seconds[trainee.variant].append(seen)
        for trainee in trainees:
            variant = trainee.variant
            memory[variant] = max(memory[variant], trainee.memory)
    return {v: Measured(tuple(seconds[v]), memory[v]) for v in variants}


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
