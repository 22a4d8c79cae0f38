import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmamp.datasets import SeededDataset, SeededSampler, UnpairedDataset
from mmamp.registry import DATASETS

PACK = [dict(type='mmamp.PackImage')]
EDGES = [dict(type='mmamp.Edges', keep_as=None), *PACK]


def digits(pipeline=PACK, **kwargs):
    return dict(type='mmamp.DigitsDataset', pipeline=pipeline, **kwargs)


def unpaired(**kwargs):
    """Twenty zeros, each with one of the ones."""
    return UnpairedDataset(
        digits(classes=[0], indices=20), digits(classes=[1]), **kwargs
    )


def numbers(dataset, indices):
    """Which pictures of the target they are."""
    every = [item['inputs'].numpy().tobytes() for item in dataset.target]
    drawn = [dataset[i]['data_samples']['target_img'] for i in indices]
    return [every.index(picture.numpy().tobytes()) for picture in drawn]


class TestItems:
    def test_are_the_sources(self):
        dataset = unpaired()
        assert len(dataset) == 20
        for i in (0, 7, 19):
            item = dataset[i]
            assert item.keys() == {'inputs', 'data_samples'}
            samples = item['data_samples']
            assert samples.keys() == {'gt_label', 'target_img'}
            assert torch.equal(item['inputs'], dataset.source[i]['inputs'])
            assert samples['gt_label'] == 0
            assert samples['target_img'].dtype is torch.uint8

    def test_end_where_the_sources_do(self):
        with pytest.raises(IndexError):
            unpaired()[20]

    def test_have_random_pictures_of_the_target(self):
        np.random.seed(0)
        dataset = unpaired()
        drawn = numbers(dataset, [3] * 60)
        assert len(set(drawn)) > 30
        assert max(drawn) > 0.8 * len(dataset.target)

    def test_have_each_the_same_picture_for_a_test(self):
        dataset = UnpairedDataset(
            digits(indices=7), digits(indices=3), test_mode=True
        )
        assert numbers(dataset, range(7)) == [0, 1, 2, 0, 1, 2, 0]

    def test_leave_those_of_the_source_as_they_were(self):
        items = [dict(inputs=torch.zeros(1), data_samples={})]
        UnpairedDataset(items, items)[0]
        assert items == [dict(inputs=torch.zeros(1), data_samples={})]

    @pytest.mark.parametrize('which', ['source', 'target'])
    def test_that_are_not_packed(self, which):
        given = dict(source=digits(), target=digits())
        given[which] = digits(pipeline=[])
        with pytest.raises(TypeError, match=f"{which}.*'img'.*PackImage"):
            UnpairedDataset(**given)[0]


class TestSeeds:
    def drawn(self, num_workers=0, skip=0, seed=3):
        dataset = SeededDataset(unpaired())
        sampler = SeededSampler(
            dict(type='mmengine.DefaultSampler', shuffle=True),
            dataset,
            seed=seed,
        )
        sampler.skip_to(skip)
        loader = DataLoader(
            dataset, 4, sampler=sampler, num_workers=num_workers
        )
        return torch.cat([b['data_samples']['target_img'] for b in loader])

    def test_position_decides(self):
        whole = self.drawn()
        assert torch.equal(self.drawn(num_workers=2), whole)
        assert torch.equal(self.drawn(skip=8), whole[8:])
        assert not torch.equal(self.drawn(seed=4), whole)


class TestForTheRunner:
    def test_meta_information_is_the_sources(self):
        dataset = UnpairedDataset(digits(), digits(EDGES, metainfo=dict(a=1)))
        assert dataset.metainfo == dataset.source.metainfo
        assert dataset.metainfo['dataset_name'] == 'digits'

    def test_initialises_both(self):
        dataset = UnpairedDataset(
            digits(lazy_init=True), digits(lazy_init=True)
        )
        assert not dataset.source._fully_initialized
        dataset.full_init()
        assert dataset.source._fully_initialized
        assert dataset.target._fully_initialized
        assert dataset.get_data_info(3)['gt_label'] == 3

    def test_a_data_loader_of_mmengines(self):
        loader = Runner.build_dataloader(
            dict(
                batch_size=5,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='default_collate'),
                dataset=dict(
                    type='mmamp.UnpairedDataset',
                    source=digits(lazy_init=True),
                    target=digits(EDGES),
                ),
            ),
            seed=0,
        )
        assert isinstance(loader.sampler, DefaultSampler)
        batch = next(iter(loader))
        assert batch['inputs'].shape == (5, 1, 8, 8)
        assert batch['data_samples']['target_img'].shape == (5, 1, 8, 8)
        assert batch['data_samples']['gt_label'].tolist() == [0, 1, 2, 3, 4]


def test_builds_from_a_config():
    cfg = dict(type='mmamp.UnpairedDataset', source=digits(), target=digits())
    assert len(DATASETS.build(cfg)) == 1797
