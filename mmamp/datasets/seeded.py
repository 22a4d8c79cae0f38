"""Data whose order and random transforms depend on the position alone."""

import itertools
from collections.abc import Iterator
from typing import Any

from mmengine.dist import get_dist_info
from torch.utils.data import Sampler, get_worker_info

from mmamp.randomness.position import seed_at, word_at
from mmamp.randomness.transforms import with_generators
from mmamp.randomness.watch import DrawWatch, preserved
from mmamp.registry import DATA_SAMPLERS, DATASETS
from mmamp.utils.protocols import DrawsByItself, HasEpochs

from .worker_signals import outlive_signals


class SeededIndex(int):
    """A sample's index that knows where in the run it is drawn.

    Attributes:
        position (tuple[int]): Seed, epoch, and place among the samples of all
            ranks.
    """

    position: tuple[int, ...]

    def __new__(cls, index: int, position: tuple[int, ...]) -> 'SeededIndex':
        """Make an index that knows its position."""
        # Not super(), which takes as long as all the rest.
        self = int.__new__(cls, index)
        self.position = position
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return SeededIndex, (int(self), self.position)


@DATA_SAMPLERS.register_module()
class SeededSampler(Sampler[SeededIndex]):
    """A sampler that says of each sample where in the run it is drawn.

    With :class:`SeededDataset` it makes a resumed run exact for any
    ``num_workers``: random transforms depend on the position alone, and what
    the run has seen already is skipped without being loaded. Everything else
    is the sampler's own.

    Args:
        sampler (dict): The sampler that decides on the order.
        dataset (Sized): The dataset; the Runner gives it.
        seed (int, optional): The run's seed; the Runner gives it. Defaults to
            None: the sampler's own.

    Raises:
        TypeError: If ``sampler`` is not a dict.

    Examples:
        >>> train_dataloader = dict(
        ...     batch_size=16,
        ...     sampler=dict(
        ...         type='mmamp.SeededSampler',
        ...         sampler=dict(type='InfiniteSampler', shuffle=True)),
        ...     dataset=dict(
        ...         type='mmamp.SeededDataset',
        ...         dataset=dict(
        ...             type='mmamp.DigitsDataset',
        ...             pipeline=[dict(type='mmamp.PackImage')])))
    """

    def __init__(
        self, sampler: dict[str, Any], dataset: Any, seed: int | None = None
    ) -> None:
        if not isinstance(sampler, dict):
            raise TypeError(
                "sampler must be a dict such as dict(type='InfiniteSampler'), "
                f'but got {sampler!r}'
            )
        self._cfg = sampler
        # Samplers of other packages ask for the kind of their dataset.
        if isinstance(dataset, SeededDataset):
            dataset = dataset.dataset
        self._args = dict(dataset=dataset, seed=seed)
        self.sampler = self._build()
        # All ranks agree on it, and every sampler of MMEngine's has one.
        self._args['seed'] = getattr(self.sampler, 'seed', seed)
        self._epoch = 0
        self._skipped = 0

    def _build(self) -> Any:
        return DATA_SAMPLERS.build(self._cfg, default_args=self._args)

    def skip_to(self, samples: int) -> None:
        """Leave samples out at the beginning of the next iteration over it.

        Args:
            samples (int): How many, of all ranks; they may have been another
                number of ranks.
        """
        # A sampler may be its own iterator, part of which is used already.
        self.sampler = self._build()
        self.set_epoch(self._epoch)
        rank, world_size = get_dist_info()
        # This rank's are those at rank, rank + world_size, ...
        self._skipped = max(-(-(samples - rank) // world_size), 0)

    def __iter__(self) -> Iterator[SeededIndex]:
        """Draw this rank's samples."""
        rank, world_size = get_dist_info()
        seed = self._args['seed'] or 0
        start, self._skipped = self._skipped, 0
        rest = itertools.islice(iter(self.sampler), start, None)
        for place, index in enumerate(rest, start):
            position = (seed, self._epoch, place * world_size + rank)
            yield SeededIndex(index, position)

    def set_epoch(self, epoch: int) -> None:
        """Tell the sampler which epoch comes next.

        Args:
            epoch (int): From 0 on.
        """
        self._epoch = epoch
        if isinstance(self.sampler, HasEpochs):
            self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        """Count the samples that this rank draws in an epoch."""
        return len(self.sampler)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """type: The sampler's, for code that asks which kind it is."""
        return _kind_of(self, 'sampler', SeededSampler)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.__dict__)

    def __getattr__(self, name: str) -> Any:
        # Also asked for before `sampler` is there, by copy and pickle.
        if name.startswith('__') or name == 'sampler':
            raise AttributeError(name)
        return getattr(self.sampler, name)


@DATASETS.register_module()
class SeededDataset:
    """A dataset whose random transforms are seeded by the position.

    Each sample is loaded with Python's, numpy's, torch's and imgaug's
    generators seeded by (seed, epoch, position), which :class:`SeededSampler`
    tells; they are put back afterwards. Without workers that is done for the
    first batch, and again from where the dataset first draws a number later
    on: that batch is loaded again. Transforms that have a generator of their
    own, and ``set_random_seed`` for it, as albumentations' have, are seeded
    each time. Everything else is the dataset's own.

    No function of the position is what a dataset makes once and keeps, such
    as a table of random numbers, nor, without workers, what it draws and puts
    the generator back, or reads off ``torch.initial_seed()``.

    Args:
        dataset (dict or Dataset): The dataset.

    Examples:
        >>> train_dataloader = dict(
        ...     batch_size=16,
        ...     sampler=dict(
        ...         type='mmamp.SeededSampler',
        ...         sampler=dict(type='InfiniteSampler', shuffle=True)),
        ...     dataset=dict(
        ...         type='mmamp.SeededDataset',
        ...         dataset=dict(
        ...             type='mmamp.DigitsDataset',
        ...             pipeline=[dict(type='mmamp.PackImage')])))
    """

    _OWN = ('dataset', '_is_set_up', '_draws', '_watch')

    def __init__(self, dataset: Any) -> None:
        self.dataset = (
            DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        )
        self._is_set_up = False
        self._draws = False
        # None before the first batch.
        self._watch: DrawWatch | None = None

    def __getitem__(self, index: int) -> Any:
        """Load a sample."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Load a batch, as torch's data loader asks for it.

        Putting the generators back costs more than seeding them: it is done
        once a batch, and in workers, whose generators nobody else uses, not
        at all.
        """
        is_worker = get_worker_info() is not None
        if is_worker and not self._is_set_up:
            self._is_set_up = True
            outlive_signals()
        own = list(with_generators(self.dataset))
        if is_worker or not isinstance(indices[0], SeededIndex):
            return [self._load(index, own) for index in indices]
        if self._watch is None:
            # Seeded, for what a dataset makes when it is first asked.
            self._watch = DrawWatch(word_at(indices[0].position))
        elif not (self._draws or own):
            with self._watch.watching():
                batch = [self.dataset[int(index)] for index in indices]
            # Most of what a batch of small images costs is seeding.
            if not self._watch.drawn:
                return batch
            self._draws = True
        with preserved():
            return [self._load(index, own) for index in indices]

    def _load(self, index: int, own: list[DrawsByItself]) -> Any:
        if isinstance(index, SeededIndex):
            seed_at(index.position)
            for transform in own:
                transform.set_random_seed(word_at(index.position) % 2**32)
            index = int(index)
        return self.dataset[index]

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.dataset)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """type: The dataset's, for code that asks which kind it is."""
        return _kind_of(self, 'dataset', SeededDataset)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.__dict__)

    def __getattr__(self, name: str) -> Any:
        # Also asked for before `dataset` is there, by copy and pickle.
        if name.startswith('__') or name in self._OWN:
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # A hook that exchanges the pipeline means the dataset's.
        if name in self._OWN:
            super().__setattr__(name, value)
        else:
            setattr(self.dataset, name, value)


def _kind_of(self: Any, name: str, default: type) -> Any:
    """Return the class of what an object stands for, once it is there."""
    held = self.__dict__.get(name)
    return default if held is None else held.__class__


def _again(cls: type, state: dict[str, Any]) -> Any:
    """Make a copy: pickle itself would take the class that is told."""
    new: Any = object.__new__(cls)
    new.__dict__.update(state)
    return new
