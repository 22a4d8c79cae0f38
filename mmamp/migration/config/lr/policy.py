"""One policy of MMCV on its way to MMEngine's schedulers."""

from __future__ import annotations

from dataclasses import dataclass, field

from mmamp.migration.config.run_length import RunLength
from mmamp.migration.config.values import (
    UNKNOWN,
    Value,
    derived,
    literal,
    mapping,
)

WARMUP = ('warmup', 'warmup_iters', 'warmup_ratio', 'warmup_by_epoch')


OURS = {
    **{
        name: f'{name}LrToEnd'
        for name in ('Linear', 'Constant', 'Poly', 'Cosine', 'Exponential')
    },
    **{name: f'{name}Lr' for name in ('Cyclic', 'Inverse', 'StepFixCosine')},
}
"""mmamp's schedulers, by the names that MMEngine's would have."""


class NoCounterpart(Exception):
    """A policy, or one of its settings, that MMEngine cannot follow."""


@dataclass
class Policy:
    """One ``lr_config`` or ``momentum_config`` on its way.

    Args:
        config (Value): Its arguments, without those that are None.
        run (RunLength): Of the training.
        parameter (str): ``'LR'`` or ``'Momentum'``: what the names of
            MMEngine's schedulers end with.
        rates (tuple[float]): The learning rates of the optimizers.
        ends_by_hand (bool): Whether schedules end where configs of 1.x that
            were written by hand have it, a step too early.
    """

    config: Value
    run: RunLength
    parameter: str = 'LR'
    rates: tuple[float, ...] = ()
    ends_by_hand: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def by_epoch(self) -> Value:
        """As it is written, or what MMCV's runner makes of it."""
        if 'by_epoch' in self.config:
            return self.config['by_epoch']
        return literal(self.run.by_epoch is not False)

    @property
    def is_scaled(self) -> bool:
        """Whether it follows the iterations of a run of so many epochs.

        How many iterations these are is known when the run begins.
        """
        return not self.by_epoch.plain and bool(self.run.by_epoch)

    def total(self) -> Value:
        """Return the length of the run, in what the policy counts."""
        if self.run.total is None:
            raise NoCounterpart(
                'it spans the whole run, and how long that is, is neither in '
                'this file nor in its bases'
            )
        if self.by_epoch.plain and self.run.by_epoch is False:
            raise NoCounterpart(
                'it counts epochs, but the length of the run is in iterations'
            )
        return self.run.total

    def known_total(self) -> int:
        """Return the length of the run as a number."""
        total = self.total().plain
        if not isinstance(total, (int, float)) or self.is_scaled:
            raise NoCounterpart(
                'how many steps its parts have is not known before the run'
            )
        return int(total)

    def end(self, length: Value) -> Value:
        """Return where a scheduler ends that has its goal after a length."""
        return length if self.ends_by_hand else one_more(length)

    def scheduler(self, name: str, **arguments: Value) -> Value:
        """Make a scheduler that counts as the policy does."""
        return mapping(
            type=literal(self._kind(name)),
            by_epoch=self.by_epoch,
            **arguments,
        )

    def ours(self, name: str, **arguments: Value) -> Value:
        """Make one of mmamp's schedulers that counts as the policy does."""
        return mapping(
            type=literal(self.our_kind(name)),
            by_epoch=self.by_epoch,
            **arguments,
        )

    def our_kind(self, name: str) -> str:
        """Return the type of one of mmamp's schedulers.

        Raises:
            NoCounterpart: If there is none.
        """
        if self.parameter == 'LR' and name in OURS:
            return f'mmamp.{OURS[name]}'
        if name == 'Cyclic':
            return 'mmamp.CyclicMomentum'
        raise NoCounterpart(f'mmamp has no {name} of the momentum')

    def to_end(self, name: str) -> str:
        """Return the type of a scheduler whose goal is at its ``end``.

        Raises:
            NoCounterpart: If there is none.
        """
        if self.ends_by_hand:
            return self._kind(name)
        return self.our_kind(name)

    def _kind(self, name: str) -> str:
        return name + self.parameter

    def over_the_run(self, name: str, **arguments: Value) -> Value:
        """Make a scheduler that has its goal at the end of the run."""
        if self.is_scaled and name in ('Poly', 'Linear'):
            return self._over_the_run(self.to_end(name), arguments)
        return self._over_the_run(self._kind(name), arguments)

    def ours_over_the_run(self, name: str, **arguments: Value) -> Value:
        """Make one of mmamp's schedulers, which ends at the end of the run."""
        return self._over_the_run(self.our_kind(name), arguments)

    def _over_the_run(self, kind: str, arguments: dict[str, Value]) -> Value:
        by_epoch = {'by_epoch': self.by_epoch}
        if self.is_scaled:
            scale = literal(True)
            by_epoch = {'by_epoch': scale, 'convert_to_iter_based': scale}
        return mapping(type=literal(kind), **by_epoch, **arguments)

    def own(self, **names: str) -> dict[str, Value]:
        """Return the arguments that are there, by the names they get."""
        config = self.config
        return {
            new: config[old] for new, old in names.items() if old in config
        }

    def goal(self) -> dict[str, Value]:
        """Return ``min_lr`` or ``min_lr_ratio`` in MMEngine's words."""
        prefix = 'min_lr' if self.parameter == 'LR' else 'min_momentum'
        found = self.own(eta_min=prefix, eta_min_ratio=f'{prefix}_ratio')
        if len(found) == 2:
            # A child that says the one on top of a base with the other.
            own = {k: v for k, v in found.items() if v.is_own}
            if len(own) != 1:
                raise NoCounterpart(
                    f'{prefix} and {prefix}_ratio are both set; MMCV takes '
                    'one of them'
                )
            return own
        return found


def one_more(value: Value) -> Value:
    """Add one to a number, where MMEngine ends a step early."""
    plain = value.plain
    is_number = isinstance(plain, (int, float))
    return derived(value, '{} + 1', int(plain) + 1 if is_number else UNKNOWN)
