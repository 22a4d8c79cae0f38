"""Transforms that have a generator of their own, in whatever holds them."""

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, Compose, ConcatDataset, RepeatDataset
from torch.utils.data import DataLoader

from mmamp.datasets import SeededDataset, SeededSampler
from mmamp.randomness.transforms import with_generators


class Own:
    """As a transform of albumentations 2."""

    def __init__(self):
        self.set_random_seed(None)

    def set_random_seed(self, seed):
        self.generator = np.random.default_rng(seed)

    def __call__(self, results):
        return {**results, 'number': self.generator.random()}


class Around:
    """As the wrappers of toolboxes, and what applies one of several."""

    def __init__(self, *transforms):
        self.transforms, self.myself = list(transforms), self

    def __call__(self, results):
        for transform in self.transforms:
            results = transform(results)
        return results


class Numbers(BaseDataset):
    def load_data_list(self):
        return [dict(index=i) for i in range(6)]

    def prepare_data(self, idx):
        return super().prepare_data(idx)['number']


def numbers(*transforms):
    return Numbers(pipeline=list(transforms))


@pytest.mark.parametrize(
    'dataset',
    [
        lambda: numbers(Own()),
        lambda: numbers(Around(Around(Own()))),
        lambda: RepeatDataset(numbers(Own()), 2),
        lambda: ConcatDataset([numbers(Around(Own()))]),
    ],
)
@pytest.mark.parametrize('num_workers', [0, 2])
def test_numbers_depend_on_the_position(dataset, num_workers):
    def draw(skip):
        seeded = SeededDataset(dataset())
        sampler = dict(type='mmengine.InfiniteSampler', shuffle=True)
        sampler = SeededSampler(sampler, seeded, seed=1)
        sampler.skip_to(skip)
        loader = DataLoader(
            seeded, 2, sampler=sampler, num_workers=num_workers
        )
        batches = [x for x, _ in zip(loader, range(4), strict=False)]
        return torch.cat(batches)

    whole = draw(0)
    assert len(whole.unique()) == 8
    assert torch.equal(draw(4)[:4], whole[4:])


def test_each_is_found_once():
    one, other = Own(), Own()
    pipeline = [Around(one, Around(other)), one, lambda x: x]
    dataset = numbers()
    assert list(with_generators(dataset)) == []
    dataset.pipeline = Compose(pipeline)
    assert list(with_generators(dataset)) == [one, other]
    assert list(with_generators([1, 2])) == []
