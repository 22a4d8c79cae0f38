"""Who trains on which batch."""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from mmamp.compat.mmengine import accumulative_counts
from mmamp.distributed.sharding import whole
from mmamp.errors import UsageError
from mmamp.randomness.progress import Progress

from .kept_batches import KeptBatches
from .sides import ROLES, Side, frozen, networks_of
from .update_schedule import UpdateSchedule

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Turn:
    """A micro-batch of one side.

    Args:
        role (str): Whose turn it is.
        batch (dict): What the data preprocessor returned.
        networks (dict[str, nn.Module]): Of both sides, by role.
        wrappers (OptimWrapperDict): Of both sides, by role.
        is_whole (bool): Whether FSDP2 keeps its own network gathered.
    """

    role: str
    batch: dict[str, Any]
    networks: dict[str, nn.Module]
    wrappers: OptimWrapperDict
    is_whole: bool

    @property
    def wrapper(self) -> OptimWrapper:
        """OptimWrapper: Its own."""
        wrapper: OptimWrapper = self.wrappers[self.role]
        return wrapper

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Freeze the other side."""
        (other,) = (role for role in ROLES if role != self.role)
        gathered = (
            whole(self.networks[self.role], self.wrapper.optimizer)
            if self.is_whole
            else nullcontext()
        )
        with (
            frozen(self.networks[other], self.wrappers[other], self.wrapper),
            gathered,
        ):
            yield

    def updates(
        self, train: Callable[..., Any]
    ) -> Iterator[tuple[list[Losses], bool]]:
        """Yield the losses of each update, which is to be made meanwhile.

        They are computed inside of the wrapper's ``optim_context``, which is
        left for the update: what autocast has cached of the weights is gone
        with it.

        Args:
            train (Callable): Of the model, such as ``train_generator``.

        Yields:
            tuple[list[dict], bool]: Losses, and whether ``train`` has made
            the update itself.
        """
        counts = self.wrapper.inner_count
        at_once = None if accumulative_counts(self.wrapper) > 1 else 1
        with self._context():
            found = train(
                self.batch['inputs'],
                self.batch.get('data_samples'),
                self.wrapper,
            )
            is_several = isinstance(found, Iterator)
            several = found if is_several else iter([found])
            losses = list(islice(several, at_once))
        if not is_several and self.wrapper.inner_count != counts:
            yield [found or {}], True
            return
        if not losses:
            raise ValueError(
                f'{train.__qualname__} has yielded no losses, so that there '
                'is nothing to train on: yield a dict of them for each update'
            )
        while losses:
            for each in losses:
                _check_losses(each, train)
            yield losses, False
            if not is_several or at_once is None:
                return
            with self._context():
                losses = list(islice(several, at_once))

    def again(self, train: Callable[..., Any]) -> Losses:
        """Compute the losses of the turn once more.

        Args:
            train (Callable): Of the model, such as ``train_generator``.

        Raises:
            UsageError: If it yields losses, one after the other.
        """
        with self._context():
            losses: Losses = train(
                self.batch['inputs'],
                self.batch.get('data_samples'),
                self.wrapper,
            )
        if not isinstance(losses, Iterator):
            return losses
        raise UsageError(
            f'{train.__qualname__} yields losses, and '
            f'{type(self.wrapper.optimizer).__name__} computes them again in '
            'its step: return one dict, or choose an optimizer whose step '
            'needs no closure, such as Adam'
        )

    def _context(self) -> Any:
        return self.wrapper.optim_context(self.networks[self.role])


@contextmanager
def after_steps(
    wrapper: OptimWrapper, do: Callable[[OptimWrapper], None]
) -> Iterator[None]:
    """Do something after each step, whoever asks for it.

    Args:
        wrapper (OptimWrapper): Whose ``step`` is made, or left out.
        do (Callable): Called with it.
    """
    step = wrapper.step

    def step_and_do(**kwargs: Any) -> None:
        step(**kwargs)
        do(wrapper)

    own = vars(wrapper)
    is_own = 'step' in own
    own['step'] = step_and_do
    try:
        yield
    finally:
        del own['step']
        if is_own:
            own['step'] = step


class Alternation:
    """The turns of two sides, as long as they have the same optimizers.

    Made when these train for the first time: it tells each optimizer wrapper
    where the run is, which MMEngine's ``OptimWrapperDict`` leaves to the
    model. A copy of a model, or a pickled one, has none.

    Args:
        model (nn.Module): The GAN. In it model wrappers have taken the places
            of networks.
        sides (dict[str, Side]): By role.
        steps (dict[str, int]): Updates in a cycle, by role.
        higher_order (tuple[str, ...]): Roles whose losses have gradients in
            them.
        optim_wrapper (OptimWrapperDict): Of the sides, by role.
        progress (Progress): Where the run is.
        kept (KeptBatches): Those of the cycle.

    Raises:
        ValueError: If ``higher_order`` names no side.
    """

    def __init__(
        self,
        model: nn.Module,
        sides: dict[str, Side],
        steps: dict[str, int],
        higher_order: tuple[str, ...],
        optim_wrapper: OptimWrapperDict,
        progress: Progress,
        kept: KeptBatches,
    ) -> None:
        if unknown := [x for x in higher_order if x not in ROLES]:
            raise ValueError(
                f'higher_order_networks names {", ".join(unknown)}, but the '
                f'networks are {" and ".join(ROLES)}'
            )
        self._higher_order = higher_order
        self._networks = networks_of(model, sides, optim_wrapper)
        # Weak, so that a model does not keep optimizers.
        self._wrappers = weakref.ref(optim_wrapper)
        self._progress = progress
        self._kept = kept
        disc, gen = (accumulative_counts(optim_wrapper[x]) for x in ROLES)
        self._schedule = UpdateSchedule(
            steps['discriminator'],
            disc,
            steps['generator'],
            gen,
            max_iters=progress.max_iters,
        )
        for role, counts, max_counts in (
            ('discriminator', progress.iteration, progress.max_iters),
            (
                'generator',
                self._schedule.generator_counts_before(progress.iteration),
                self._schedule.generator_max_counts,
            ),
        ):
            batches, saved = progress.kept(f'{role}_counts') or (-1, -1)
            optim_wrapper[role].initialize_count_status(
                model, saved if batches == counts else counts, max_counts
            )

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Be None in a copy."""
        return type(None), ()

    def is_of(self, optim_wrapper: OptimWrapper) -> bool:
        """Tell whether these are its optimizers."""
        return self._wrappers() is optim_wrapper

    def turns(self, iteration: int, batch: dict[str, Any]) -> Iterator[Turn]:
        """Yield the turns of an iteration, to be taken meanwhile.

        Args:
            iteration (int): From 0 on.
            batch (dict): The iteration's.
        """
        # The discriminator learns from every batch.
        yield self._turn('discriminator', batch)
        self._count('discriminator', iteration + 1)

        # The generator's turn comes at the end of a cycle.
        self._kept.add(batch)
        before = self._schedule.generator_counts_before(iteration)
        num = self._schedule.generator_turn(iteration)
        for i in range(num):
            yield self._turn('generator', self._kept[i])
            self._count('generator', before + i + 1)
        if num:
            self._kept.clear()

    def _turn(self, role: str, batch: dict[str, Any]) -> Turn:
        wrappers: Any = self._wrappers()
        return Turn(
            role, batch, self._networks, wrappers, role in self._higher_order
        )

    def _count(self, role: str, batches: int) -> None:
        """Keep a wrapper's count, if micro-batches made several updates."""
        wrappers: Any = self._wrappers()
        counts = wrappers[role].inner_count
        if counts != batches:
            self._progress.keep(f'{role}_counts', [batches, counts])


def _check_losses(losses: Any, train: Callable[..., Any]) -> None:
    """Refuse what nothing can be learnt from."""
    if not isinstance(losses, Mapping):
        raise TypeError(
            f'{train.__qualname__} must return a dict of losses, or yield '
            f'such dicts, but got {type(losses).__name__}'
        )
    if not any('loss' in name for name in losses):
        raise ValueError(
            f'{train.__qualname__}: there is nothing to train on among '
            f'{", ".join(map(repr, losses)) or "no losses"}: terms of the '
            "loss need a name that holds 'loss'"
        )


def check_wrappers(optim_wrapper: OptimWrapper) -> None:
    """Refuse what cannot train two networks, with the config that can.

    Args:
        optim_wrapper (OptimWrapper): What a Runner has built.

    Raises:
        TypeError: If there is one optimizer for both networks.
        ValueError: If one of the two is missing.
    """
    example = (
        "optim_wrapper=dict(constructor='OptimWrapperConstructor', "
        'generator=dict(optimizer=...), '
        'discriminator=dict(optimizer=...))'
    )
    if not isinstance(optim_wrapper, OptimWrapperDict):
        raise TypeError(
            'a GAN needs an optimizer for each of its networks, '
            f'but got one {type(optim_wrapper).__name__}: '
            f'give {example}'
        )
    missing = [name for name in ROLES if name not in optim_wrapper]
    if missing:
        raise ValueError(
            f'no optimizer for {" and ".join(missing)} among '
            f'{list(optim_wrapper.keys())}: give {example}'
        )
