"""Where in the data a run is, and where a resumed one goes on."""

import logging
from collections.abc import Callable
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.logging import print_log

from mmamp.compat.mmengine import begun_iterator, is_stock_iterator
from mmamp.utils.protocols import Iterates, SkipsTo

from .endless_batches import EndlessBatches


class DataPosition:
    """Counts the samples of all ranks that a train loop has taken.

    So that a run can go on with another number of ranks, or another batch
    size, and repeat none of them. With
    :class:`mmamp.datasets.SeededSampler` what was taken is left out without
    being loaded; MMEngine loads and discards it in an iteration-based loop,
    and begins an epoch anew in an epoch-based one.
    """

    def __init__(self) -> None:
        # Where the count stood at some iteration of this process, in which
        # epoch.
        self._iter, self._samples, self._epoch = 0, 0, 0
        self._resumed: dict[str, int] | None = None

    def state(self, loop: Any, meta: dict[str, Any]) -> dict[str, int] | None:
        """Return what a checkpoint needs.

        Args:
            loop (BaseLoop): The train loop.
            meta (dict): Of the checkpoint: the ``iter`` and ``epoch`` that a
                resumed run will begin at.

        Returns:
            dict or None: ``samples`` of all ranks, in the epoch where there
            are epochs. None if the loader does not tell its batch size.
        """
        batch_size = loop.dataloader.batch_size
        if batch_size is None:
            return None
        if _has_epochs(loop) and meta['epoch'] > self._epoch:
            return dict(samples=0)  # the next epoch's
        steps = meta['iter'] - self._iter
        return dict(
            samples=self._samples + steps * batch_size * get_world_size()
        )

    def load(self, state: dict[str, int] | None) -> None:
        """Take over a checkpoint's, before :meth:`begin`."""
        self._resumed = state

    def begin(self, loop: Any, then: Callable[[], None]) -> int:
        """Have an epoch, or an iteration-based loop, begin where it should.

        Args:
            loop (BaseLoop): About to begin it.
            then (Callable): Called when an iteration-based loop has advanced
                its data, before it takes the first that is new.

        Returns:
            int: Samples of all ranks that are left out.
        """
        resumed, self._resumed = self._resumed, None
        self._iter, self._samples, self._epoch = loop.iter, 0, loop.epoch
        in_epoch = loop.iter
        if _has_epochs(loop):
            in_epoch -= loop.epoch * len(loop.dataloader)
        batch = (loop.dataloader.batch_size or 0) * get_world_size()
        taken = in_epoch * batch
        samples = taken if resumed is None else resumed['samples']
        self._samples = max(samples, 0)
        if _has_epochs(loop):
            if samples > 0:
                self._go_on_in_epoch(loop)
        elif is_stock_iterator(loop.dataloader_iterator):
            batches = self._go_on_endlessly(loop, taken)
            if loop.iter:
                batches.then = then
            loop.dataloader_iterator = batches
        return self._samples

    def _go_on_in_epoch(self, loop: Any) -> None:
        sampler = _skipping_sampler(loop)
        if sampler is None:
            _warn_of_repeats('begins the epoch anew')
            return
        sampler.skip_to(self._samples)
        print_log(
            f'{self._samples} samples of epoch {loop.epoch + 1} were taken '
            'already and are left out',
            logger='current',
        )

    def _go_on_endlessly(self, loop: Any, taken: int) -> '_AdvancedBatches':
        """Return the batches of an iteration-based loop from where it goes on.

        An iterator over the loader draws a random number when it is made:
        where the run that was stopped had made it already, it is made here,
        before the states of the generators are restored.
        """
        loader = loop.dataloader
        begun = begun_iterator(loop.dataloader_iterator)
        sampler = _skipping_sampler(loop) if loop.iter else None
        if sampler is not None and isinstance(
            sampler.sampler, InfiniteSampler
        ):
            sampler.skip_to(self._samples)
            batches = EndlessBatches(loader, iterator=iter(loader))
            return _AdvancedBatches(batches, loop.iter, loads=False)
        if self._samples != taken:
            _warn_of_repeats('goes on at another place of the data')
        elif sampler is not None:
            epoch, over = divmod(loop.iter, len(loader))
            sampler.set_epoch(epoch)
            sampler.skip_to(over * loader.batch_size * get_world_size())
            batches = EndlessBatches(
                loader, epoch, iter(loader) if over else None
            )
            return _AdvancedBatches(batches, loop.iter, loads=False)
        batches = EndlessBatches(loader, iterator=begun)
        return _AdvancedBatches(batches, loop.iter, loads=True)


def _has_epochs(loop: Any) -> bool:
    """Tell whether a loop iterates over its loader once an epoch."""
    return not isinstance(loop, Iterates)


def _warn_of_repeats(what: str) -> None:
    print_log(
        f'The run {what}, since its sampler cannot leave out what was taken '
        "already: train_dataloader=dict(sampler=dict(type='mmamp."
        "SeededSampler', sampler=...)) can",
        logger='current',
        level=logging.WARNING,
    )


def _skipping_sampler(loop: Any) -> Any:
    """Find the sampler that can leave out what was taken, if any."""
    loader = loop.dataloader
    if loader.batch_size is None:
        return None
    for owner in (loader, getattr(loader, 'batch_sampler', None)):
        sampler: Any = getattr(owner, 'sampler', None)
        if isinstance(sampler, SkipsTo):
            return sampler
    return None


class _AdvancedBatches:
    """Goes through the loop's requests for what was taken already.

    Args:
        batches (Iterator): Of all iterations, or of those that are new.
        taken (int): Batches that were taken.
        loads (bool): Whether they are loaded and dropped, as MMEngine does.

    Attributes:
        then (Callable, optional): Called before the first that is new.
    """

    def __init__(self, batches: Any, taken: int, loads: bool) -> None:
        self._batches, self._taken, self._loads = batches, taken, loads
        self.then: Callable[[], None] | None = None

    def __iter__(self) -> '_AdvancedBatches':
        return self

    def __next__(self) -> Any:
        if self._taken:
            self._taken -= 1
            return next(self._batches) if self._loads else None
        if self.then is not None:
            self.then()
            self.then = None
        return next(self._batches)

    def skip_iter(self, num_iters: int) -> None:
        """Make the same requests in one call, as the fork of MMEngine does."""
        for _ in range(num_iters):
            next(self)
