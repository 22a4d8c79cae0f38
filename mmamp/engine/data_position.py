"""Where in the data a run is, and where a resumed one goes on."""

import logging
from collections.abc import Callable
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.logging import print_log


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

    def state(self, loop: Any, meta: dict) -> dict[str, int] | None:
        """What a checkpoint needs.

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
        if loop.iter == 0:
            return 0
        loader = loop.dataloader
        in_epoch = loop.iter
        if _has_epochs(loop):
            in_epoch -= loop.epoch * len(loader)
        batch = (loader.batch_size or 0) * get_world_size()
        taken = in_epoch * batch
        samples = taken if resumed is None else resumed['samples']
        self._samples = max(samples, 0)
        sampler = _skipping_sampler(loop)
        if sampler is not None:
            sampler.skip_to(self._samples)
        if not _has_epochs(loop):
            iterator = loop.dataloader_iterator
            if sampler is not None:
                iterator = type(iterator)(loader)
            loop.dataloader_iterator = _AdvancedIterator(
                iterator, loop.iter, sampler is None, then
            )
            if sampler is None and samples != taken:
                _warn_of_repeats('goes on at another place of the data')
        elif samples > 0 and sampler is None:
            _warn_of_repeats('begins the epoch anew')
        elif samples > 0:
            print_log(
                f'{samples} samples of epoch {loop.epoch + 1} were taken '
                'already and are left out',
                logger='current',
            )
        return self._samples


def _has_epochs(loop: Any) -> bool:
    """Whether a loop iterates over its loader once an epoch."""
    return not hasattr(loop, 'dataloader_iterator')


def _warn_of_repeats(what: str) -> None:
    print_log(
        f'The run {what}, since its sampler cannot leave out what was taken '
        "already: train_dataloader=dict(sampler=dict(type='mmamp."
        "SeededSampler', sampler=...)) can",
        logger='current',
        level=logging.WARNING,
    )


def _skipping_sampler(loop: Any) -> Any:
    """The sampler that can leave out what was taken, if there is one."""
    loader = loop.dataloader
    if loader.batch_size is None:
        return None
    for owner in (loader, getattr(loader, 'batch_sampler', None)):
        sampler: Any = getattr(owner, 'sampler', None)
        # One that ends is begun again by MMEngine, which counts how often.
        if hasattr(sampler, 'skip_to') and (
            _has_epochs(loop) or isinstance(sampler.sampler, InfiniteSampler)
        ):
            return sampler
    return None


class _AdvancedIterator:
    """Goes through the loop's requests for what was taken already.

    Args:
        iterator (Iterator): The loop's.
        taken (int): Batches that were.
        loads (bool): Whether they are loaded and dropped, as MMEngine does.
        then (Callable): Called before the first that is new.
    """

    def __init__(
        self,
        iterator: Any,
        taken: int,
        loads: bool,
        then: Callable[[], None],
    ) -> None:
        self._iterator, self._taken = iterator, taken
        self._loads, self._then = loads, then

    def __iter__(self) -> '_AdvancedIterator':
        return self

    def __next__(self) -> Any:
        if self._taken:
            self._taken -= 1
            return next(self._iterator) if self._loads else None
        self._then()
        self._then = _nothing
        return next(self._iterator)


def _nothing() -> None:
    pass
