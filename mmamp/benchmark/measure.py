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
        seconds (tuple[float]): Of an iteration, in each round.
        memory (int): Peak in bytes; 0 where it is not known.
    """

    seconds: tuple[float, ...]
    memory: int

    @property
    def milliseconds(self) -> float:
        """float: Of an iteration, the median."""
        return statistics.median(self.seconds) * 1000


@dataclass(frozen=True)
class Ratio:
    """A ratio, and how well it is known.

    Args:
        median (float): Of all rounds.
        low (float): Where the 95 % confidence interval of the median begins;
            of fewer than 6 rounds the least.
        high (float): Where it ends; of fewer than 6 rounds the greatest.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of_times(cls, of: Measured, over: Measured) -> 'Ratio':
        """Of the times of two variants, round by round.

        Args:
            of (Measured): The numerator.
            over (Measured): The denominator.
        """
        pairs = zip(of.seconds, over.seconds, strict=True)
        ratios = sorted(a / b for a, b in pairs)
        outside = _outside_interval(len(ratios))
        return cls(
            statistics.median(ratios), ratios[outside], ratios[-1 - outside]
        )

    def __str__(self) -> str:
        return f'{self.median:.2f} ({self.low:.2f} to {self.high:.2f})'


def _outside_interval(num: int) -> int:
    """Values at each end that a median's 95 % interval leaves out.

    That of the sign test, whatever the values' distribution is: how many of
    them are below the true median is as with tossed coins.
    """
    outside, tail = -1, 0.0
    while (tail := tail + math.comb(num, outside + 1) / 2**num) <= 0.025:
        outside += 1
    return max(outside, 0)


def measure(
    variants: Sequence[Variant],
    rounds: int,
    iterations: int,
    work_dir: Path,
    threads: int | None = None,
) -> dict[Variant, Measured]:
    """Have variants train in turns.

    Each round goes through all of them, every other one backwards, so that
    a machine that becomes slower favours none. One turn before that is a
    warm-up.

    Args:
        variants (Sequence[Variant]): What to compare.
        rounds (int): How often each has its turn.
        iterations (int): In a turn.
        work_dir (Path): Where logs go.
        threads (int, optional): On a CPU. Defaults to None: torch's default.

    Raises:
        RuntimeError: If one of the processes fails.
    """
    seconds: dict[Variant, list[float]] = {v: [] for v in variants}
    with ExitStack() as stack:
        trainees = [
            stack.enter_context(Trainee(v, work_dir / str(i), threads))
            for i, v in enumerate(variants)
        ]
        for trainee in trainees:
            trainee.run(iterations)
        for i in range(rounds):
            for trainee in trainees[:: -1 if i % 2 else 1]:
                spent = trainee.run(iterations)
                seconds[trainee.variant].append(spent / iterations)
    return {
        trainee.variant: Measured(
            tuple(seconds[trainee.variant]), trainee.memory
        )
        for trainee in trainees
    }
