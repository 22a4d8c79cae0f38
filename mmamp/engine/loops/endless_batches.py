"""A data loader that begins again where it ends, at once."""

import itertools
from collections.abc import Iterator
from typing import Any

from mmengine.logging import print_log

from mmamp.utils.protocols import HasEpochs


class EndlessBatches:
    """Takes the place of an iteration-based loop's own iterator.

    MMEngine's sleeps for two seconds whenever the loader begins again.

    Args:
        loader (DataLoader): What batches come from.
        epoch (int): The loader's epoch that comes first. Defaults to 0.
        iterator (Iterator, optional): One over the loader, for the first
            epoch. Defaults to None: made when the first batch is asked for.

    Raises:
        ValueError: If an epoch has no batch; when one is asked for.
    """

    def __init__(
        self,
        loader: Any,
        epoch: int = 0,
        iterator: Iterator[Any] | None = None,
    ) -> None:
        self._loader = loader
        self._batches = self._endless(epoch, iterator)

    def __iter__(self) -> 'EndlessBatches':
        return self

    def __next__(self) -> Any:
        return next(self._batches)

    def _endless(
        self, first: int, begun: Iterator[Any] | None
    ) -> Iterator[Any]:
        for epoch in itertools.count(first):
            # Again where it has begun: MMEngine's DistSamplerSeedHook has
            # said another one meanwhile.
            self._set_epoch(epoch)
            if begun is None:
                begun = iter(self._loader)
            batches = 0
            for batch in begun:
                batches += 1
                yield batch
            begun = None
            if not batches and epoch > first:
                raise ValueError(
                    'the data loader has no batch: its dataset has '
                    f'{len(self._loader.dataset)} samples, its batches are '
                    f'of {self._loader.batch_size}, drop_last='
                    f'{self._loader.drop_last}'
                )
            if epoch == first:
                print_log(
                    'The data is at its end and begins again. Unless the '
                    'loader has persistent_workers=True, or an '
                    'InfiniteSampler, its workers are started anew each time',
                    logger='current',
                )

    def _set_epoch(self, epoch: int) -> None:
        """Tell the sampler, where torch's loader has one that asks."""
        for owner in (self._loader, self._loader.batch_sampler):
            sampler: Any = getattr(owner, 'sampler', None)
            if isinstance(sampler, HasEpochs):
                sampler.set_epoch(epoch)
                return
