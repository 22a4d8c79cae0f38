"""What an optimizer does in a run, whatever version its config is of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

EPOCH = 1000
"""Iterations of an epoch, where one has to be assumed: the same for both."""
CONSTANT = 'constant'
"""Name of the schedule that is none."""
SCALER = dict(
    init_scale=65536.0,
    growth_factor=2.0,
    backoff_factor=0.5,
    growth_interval=2000,
)
"""What a dynamic loss scale is unless a config says otherwise."""


@dataclass(frozen=True)
class Schedule:
    """A learning rate, or a momentum, along a run.

    Args:
        name (str): Of the policy or the schedulers.
        at (Callable, optional): The value at an iteration; None where it
            cannot be told beforehand.
        turns (tuple[int, ...]): Iterations at which it changes its course.
        step (int): Iterations in which it does not change.
        blur (float): What schedules that end by hand may be off by, of
            whose minimum a warm-up does not take its part.
    """

    name: str
    at: Callable[[int], float] | None
    turns: tuple[int, ...] = ()
    step: int = 1
    blur: float = 0.0


@dataclass
class Settings:
    """The optimizer of one network.

    Args:
        optimizer (str): Its type.
        options (dict[str, Any]): Learning rate, betas and so on.
        parameters (dict[str, tuple]): Learning rate and weight decay of
            parameters, by their names in the network.
        accumulation (int): Micro-batches of an update.
        updates (Fraction): In an iteration.
        clip (dict, optional): Arguments of gradient clipping by norm.
        scale (float or dict, optional): A static loss scale, or the arguments
            of a dynamic one. None: no loss scale.
        schedule (Schedule): Of its learning rate.
        momentum (Schedule): Of its momentum, or of the first of its betas.
    """

    optimizer: str
    options: dict[str, Any]
    parameters: dict[str, tuple[Any, Any]]
    accumulation: int
    updates: Fraction
    clip: dict[str, Any] | None
    scale: float | dict[str, Any] | None
    schedule: Schedule
    momentum: Schedule


@dataclass
class Run:
    """The optimizers of a config, and how long they run.

    Args:
        networks (dict[str, Settings]): By name; that of a single optimizer
            over the whole model is empty.
        length (int, optional): In iterations or epochs; None if it is not
            said.
        by_epoch (bool): Which of the two.
    """

    networks: dict[str, Settings] = field(default_factory=dict)
    length: int | None = None
    by_epoch: bool = False

    @property
    def iterations(self) -> int | None:
        """int: In the run; None if that is not said."""
        if self.length is None:
            return None
        return self.length * (EPOCH if self.by_epoch else 1)


def momentum_of(options: dict[str, Any]) -> float:
    """Return the momentum among an optimizer's options; 0 if it has none."""
    betas = options.get('betas') or (0.0,)
    momentum: float = options.get('momentum', betas[0])
    return momentum


def dynamic(options: dict[str, Any]) -> dict[str, Any]:
    """Fill in what is not said of a dynamic loss scale."""
    return {**SCALER, **options}
