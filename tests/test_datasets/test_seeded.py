"""Data as a function of the position in it."""

import copy
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader, Sampler

from mmamp.datasets import SeededDataset, SeededSampler
from mmamp.datasets.seeded import SeededIndex
from mmamp.randomness.position import seed_at
from mmamp.randomness.watch import preserved
from mmamp.registry import DATASETS

INFINITE = dict(type='mmengine.InfiniteSampler', shuffle=True)
FINITE = dict(type='mmengine.DefaultSampler', shuffle=True)


@DATASETS.register_module(force=True)
class Noise(torch.utils.data.Dataset):
    """Its samples hold random numbers from every generator."""

    metainfo = dict(classes=('a',))

    def __init__(self, length=10):
        self.length = length
        self.pipeline = 'first'

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index >= self.length:
            raise IndexError(index)
        return torch.tensor(
            [index, random.random(), np.random.rand(), torch.rand(()).item()],
            dtype=torch.float64,
        )


def draw(num, num_workers=0, skip=0, seed=3, sampler=INFINITE, epoch=0):
    dataset = SeededDataset(dict(type='mmamp.Noise'))
    sampler = SeededSampler(sampler, dataset, seed=seed)
    sampler.set_epoch(epoch)
    sampler.skip_to(skip)
    loader = DataLoader(dataset, 2, sampler=sampler, num_workers=num_workers)
    return [batch for batch, _ in zip(loader, range(num), strict=False)]


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


class TestPosition:
    @pytest.mark.parametrize('num_workers', [1, 2])
    def test_any_number_of_workers_gives_the_same(self, num_workers):
        assert_equal(draw(8), draw(8, num_workers))

    @pytest.mark.parametrize('num_workers', [0, 2])
    @pytest.mark.parametrize('sampler', [INFINITE, FINITE])
    def test_skipping_gives_the_rest(self, num_workers, sampler):
        whole = draw(5, sampler=sampler)
        rest = draw(3, num_workers, skip=4, sampler=sampler)
        assert_equal(rest, whole[2:])

    def test_seed_and_epoch_matter(self):
        first = torch.stack(draw(5, sampler=FINITE))
        for other in (dict(seed=4), dict(epoch=1)):
            second = torch.stack(draw(5, sampler=FINITE, **other))
            assert not torch.equal(first[..., 0], second[..., 0])
            assert not np.isin(first[..., 1], second[..., 1]).any()

    def test_no_two_positions_draw_the_same(self):
        drawn = torch.cat(draw(50))
        for column in (1, 2, 3):
            assert len(drawn[:, column].unique()) == 100

    def test_ranks_share_nothing_and_together_are_one_process(self, as_rank):
        alone = torch.cat(draw(4))
        for rank in range(4):
            with as_rank(rank):
                (mine,) = draw(1)
            assert torch.equal(mine, alone[rank::4])

    def test_the_main_process_keeps_its_random_numbers(self):
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        expected = random.random(), np.random.rand(), torch.rand(1)
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        dataset = SeededDataset(Noise())
        dataset[SeededIndex(0, (1, 2, 3))]
        assert (random.random(), np.random.rand(), torch.rand(1)) == expected


class Still(Noise):
    """Draws nothing, but for one sample."""

    def __init__(self, draw=None, at=6):
        super().__init__()
        self.draw, self.at, self.loaded = draw, at, []

    def __getitem__(self, index):
        self.loaded.append(index)
        if index == self.at and self.draw:
            return self.draw()
        return float(index)


class TestWithoutDrawing:
    def indices(self, batch):
        return [SeededIndex(i, (1, 0, i)) for i in range(batch, batch + 4)]

    def test_loaded_once_and_seeded_at_first_only(self, monkeypatch):
        inner = Still()
        dataset = SeededDataset(inner)
        seeded = []
        monkeypatch.setattr(
            'mmamp.datasets.seeded.seed_at',
            lambda position: (seeded.append(position), seed_at(position)),
        )
        for batch in (0, 4):
            dataset.__getitems__(self.indices(batch))
        assert inner.loaded == list(range(8))
        assert seeded == [(1, 0, i) for i in range(4)]

    @pytest.mark.parametrize(
        'draw',
        [
            random.random,
            lambda: random.gauss(0, 1),
            np.random.rand,
            np.random.randn,
            lambda: torch.rand(()).item(),
            lambda: torch.randperm(9).tolist(),
        ],
    )
    def test_whoever_draws_at_last_is_seeded(self, draw):
        inner = Still(draw)
        dataset = SeededDataset(inner)
        first, second, third = (
            dataset.__getitems__(self.indices(batch)) for batch in (0, 4, 6)
        )
        assert first == [0, 1, 2, 3]
        with preserved():
            seed_at((1, 0, 6))
            assert second == [4, 5, draw(), 7]
        # The batch of the first draw was loaded twice, the next one once.
        assert third[0] == second[2]
        assert inner.loaded == [*range(8), *range(4, 8), *range(6, 10)]

    @pytest.mark.parametrize('seed', [1, 2])
    @pytest.mark.parametrize(
        'make',
        [
            lambda: np.random.default_rng(torch.initial_seed()).random(4),
            lambda: np.random.rand(4),
            lambda: [random.random() for _ in range(4)],
        ],
    )
    def test_what_is_made_at_first_is_of_the_position(self, seed, make):
        class Lazy(Noise):
            table = None

            def __getitem__(self, index):
                if self.table is None:
                    self.table = make()
                return self.table[index]

        indices = [SeededIndex(i, (seed, 0, i)) for i in range(4)]
        with preserved():
            seed_at((seed, 0, 0))
            expected = list(make())
        assert SeededDataset(Lazy()).__getitems__(indices) == expected

    @pytest.mark.parametrize('draw', [None, random.random, np.random.rand])
    def test_the_main_process_keeps_its_random_numbers(self, draw):
        def numbers():
            return random.random(), np.random.rand(), torch.rand(()).item()

        with preserved():
            seed_at((5,))
            expected = numbers()
            seed_at((5,))
            dataset = SeededDataset(Still(draw))
            for batch in (0, 4):
                dataset.__getitems__(self.indices(batch))
            assert numbers() == expected


class TestWrapper:
    def test_is_the_dataset_in_all_else(self):
        inner = Noise()
        dataset = SeededDataset(inner)
        assert len(dataset) == 10
        assert dataset.metainfo == Noise.metainfo
        dataset.pipeline = 'second'  # as mmdet's PipelineSwitchHook does
        assert inner.pipeline == 'second'
        with pytest.raises(AttributeError):
            dataset.missing  # noqa: B018

    def test_plain_indices_are_as_ever(self):
        torch.manual_seed(1)
        random.seed(1), np.random.seed(1)
        expected = Noise()[2]
        torch.manual_seed(1)
        random.seed(1), np.random.seed(1)
        dataset = SeededDataset(Noise())
        assert torch.equal(dataset[2], expected)
        assert not torch.equal(dataset[2], expected)

    def test_is_of_its_kind(self):
        """As hooks of toolboxes ask, which exchange samplers and pipelines."""
        dataset = SeededDataset(Noise())
        sampler = SeededSampler(dict(type='InfiniteSampler'), dataset, 3)
        assert isinstance(dataset, Noise)
        assert isinstance(dataset, SeededDataset)
        assert isinstance(sampler, InfiniteSampler)
        assert isinstance(sampler, SeededSampler)
        assert not isinstance(sampler, DefaultSampler)
        finite = SeededSampler(FINITE, dataset, 3)
        twin = pickle.loads(pickle.dumps(finite))
        assert type(twin) is SeededSampler
        assert list(twin) == list(finite)
        assert type(pickle.loads(pickle.dumps(dataset))) is SeededDataset

    def test_copies_and_pickles(self):
        dataset = SeededDataset(Noise(4))
        for index in range(2):
            dataset[SeededIndex(index, (1, 0, index))]
        for twin in (
            copy.deepcopy(dataset),
            pickle.loads(pickle.dumps(dataset)),
        ):
            assert len(twin) == 4
            last = SeededIndex(3, (1, 0, 3))
            assert torch.equal(twin[last], dataset[last])

    def test_builds_and_initialises_an_mmengine_dataset(self):
        dataset = SeededDataset(
            dict(type='mmamp.DigitsDataset', lazy_init=True, pipeline=[])
            if issubclass(DATASETS.get('mmamp.DigitsDataset'), BaseDataset)
            else dict(type='mmamp.DigitsDataset', pipeline=[])
        )
        assert len(dataset) == 1797

    def test_index_goes_to_workers(self):
        index = pickle.loads(pickle.dumps(SeededIndex(5, (1, 2, 3))))
        assert index == 5
        assert index.position == (1, 2, 3)


class TestSampler:
    def test_order_is_the_inner_samplers(self):
        dataset = Noise()
        for kind, cls in (
            (INFINITE, InfiniteSampler),
            (FINITE, DefaultSampler),
        ):
            plain = cls(dataset, shuffle=True, seed=3)
            seeded = SeededSampler(kind, dataset, seed=3)
            assert len(seeded) == len(plain)
            pairs = zip(seeded, plain, range(10), strict=False)
            assert all(a == b for a, b, _ in pairs)

    def test_a_batch_sampler_looks_at_the_data(self):
        """As mmdet's AspectRatioBatchSampler does."""
        inner = Noise()
        sampler = SeededSampler(FINITE, SeededDataset(inner))
        assert isinstance(sampler, Sampler)
        assert sampler.dataset is inner
        assert sampler.shuffle
        for twin in (copy.copy(sampler), copy.deepcopy(sampler)):
            assert len(twin) == 10
        with pytest.raises(AttributeError):
            sampler.missing  # noqa: B018

    def test_bad_sampler(self):
        with pytest.raises(TypeError, match="must be a dict.*'x'"):
            SeededSampler('x', Noise())
