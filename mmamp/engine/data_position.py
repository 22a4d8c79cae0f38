"""Where in the data a run is, and where a resumed one goes on."""

import logging
from typing import Any

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

    def begin(self, loop: Any) -> int:
        """Have an epoch, or an iteration-based loop, begin where it should.

        Args:
            loop (BaseLoop): About to begin it.

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
        samples = in_epoch * batch if resumed is None else resumed['samples']
        if samples <= 0:
            return 0
        self._samples = samples
        sampler = _skipping_sampler(loader)
        if sampler is None or loader.batch_size is None:
            _warn_of_repeats(loop, samples != in_epoch * batch)
            return samples
        if _has_epochs(loop):
            sampler.skip_to(samples)
            print_log(
                f'{samples} samples of epoch {loop.epoch + 1} were taken '
                'already and are left out',
                logger='current',
            )
        else:
            sampler.skip_to(samples)
            loop.dataloader_iterator = _SkippedIterator(
                type(loop.dataloader_iterator)(loader), loop.iter
            )
        return samples


def _has_epochs(loop: Any) -> bool:
    """Whether a loop iterates over its loader once an epoch."""
    return not hasattr(loop, 'dataloader_iterator')


def _warn_of_repeats(loop: Any, has_other_batches: bool) -> None:
    if not _has_epochs(loop) and not has_other_batches:
        return  # MMEngine loads and discards just what was taken
    what = (
        'begins the epoch anew'
        if _has_epochs(loop)
        else 'goes on at another place of the data'
    )
    print_log(
        f'The run {what}, since its sampler cannot leave out what was taken '
        "already: train_dataloader=dict(sampler=dict(type='mmamp."
        "SeededSampler', sampler=...)) can",
        logger='current',
        level=logging.WARNING,
    )


def _skipping_sampler(loader: Any) -> Any:
    for owner in (loader, getattr(loader, 'batch_sampler', None)):
        sampler = getattr(owner, 'sampler', None)
        if hasattr(sampler, 'skip_to'):
            return sampler
    return None


class _SkippedIterator:
    """Answers the loop's requests for what was seen, without loading it."""

    def __init__(self, iterator: Any, seen: int) -> None:
        self._iterator = iterator
        self._seen = seen

    def __iter__(self) -> '_SkippedIterator':
        return self

    def __next__(self) -> Any:
        if self._seen:
            self._seen -= 1
            return None
        return next(self._iterator)
