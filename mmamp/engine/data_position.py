"""Where in the data a resumed run goes on."""

from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.logging import print_log


def skip_seen(loop: Any) -> None:
    """Have a resumed train loop begin after the data it has seen.

    Without loading it again, where the sampler can tell
    (:class:`mmamp.datasets.SeededSampler`); elsewhere MMEngine loads and
    discards it.

    Args:
        loop (BaseLoop): The train loop, about to begin an epoch; for an
            iteration-based one, about to begin.
    """
    loader = loop.dataloader
    sampler = _skipping_sampler(loader)
    if sampler is None or loader.batch_size is None:
        return
    if not hasattr(loop, 'dataloader_iterator'):
        # An epoch-based loop: MMEngine would begin this epoch anew.
        steps = loop.iter - loop.epoch * len(loader)
        if 0 < steps < len(loader):
            sampler.skip(steps * loader.batch_size)
            print_log(
                f'{steps} of {len(loader)} iterations of epoch '
                f'{loop.epoch + 1} are done already and left out',
                logger='current',
            )
    elif isinstance(sampler.sampler, InfiniteSampler):
        sampler.skip(loop.iter * loader.batch_size)
        loop.dataloader_iterator = _SkippedIterator(
            type(loop.dataloader_iterator)(loader), loop.iter
        )


def _skipping_sampler(loader: Any) -> Any:
    for owner in (loader, getattr(loader, 'batch_sampler', None)):
        sampler = getattr(owner, 'sampler', None)
        if hasattr(sampler, 'skip'):
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
