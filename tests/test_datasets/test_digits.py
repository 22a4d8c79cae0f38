import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

from mmamp.datasets import DigitsDataset
from mmamp.registry import DATASETS, FUNCTIONS

PACK = [dict(type='mmamp.PackImage')]


class TestContents:
    def test_are_scikit_learns(self):
        dataset = DigitsDataset()
        assert len(dataset) == 1797
        digits = load_digits()
        for i in (0, 1, 500, 1796):
            item = dataset[i]
            assert item['img'].dtype == np.uint8
            assert item['img'].shape == (8, 8)
            assert item['gt_label'] == digits.target[i]
            assert type(item['gt_label']) is int
            # 0 to 16 there, 0 to 255 here.
            np.testing.assert_allclose(
                item['img'], digits.images[i] * 255 / 16, atol=0.5
            )

    def test_use_the_whole_range(self):
        images = np.stack([item['img'] for item in DigitsDataset()])
        assert images.min() == 0
        assert images.max() == 255

    def test_meta_information(self):
        meta = DigitsDataset().metainfo
        assert meta['dataset_name'] == 'digits'
        assert meta['classes'] == tuple('0123456789')


class TestClasses:
    @pytest.mark.parametrize('classes', [[0], [7, 3], (1, 2), range(5)])
    def test_only_those_wanted(self, classes):
        dataset = DigitsDataset(classes=classes)
        target = load_digits().target
        assert {item['gt_label'] for item in dataset} == set(classes)
        assert len(dataset) == np.isin(target, list(classes)).sum()

    @pytest.mark.parametrize('classes', [[], [10], [-1], [1, 11], ['3'], '3'])
    def test_that_are_no_digits(self, classes):
        with pytest.raises(ValueError, match='digits from 0 to 9') as error:
            DigitsDataset(classes=classes)
        assert repr(classes) in str(error.value)


class TestSplits:
    def pictures(self, **kwargs):
        return [item['img'].tobytes() for item in DigitsDataset(**kwargs)]

    def test_share_nothing_and_are_all(self):
        train, val = self.pictures(split='train'), self.pictures(split='val')
        every = self.pictures()
        assert (len(train), len(val)) == (1437, 360)
        # No two of the digits are the same picture.
        assert len(set(every)) == 1797
        assert set(train) | set(val) == set(every)

    @pytest.mark.parametrize('split', ['train', 'val'])
    def test_keep_the_order(self, split):
        every = self.pictures()
        places = [
            every.index(picture) for picture in self.pictures(split=split)
        ]
        assert places == sorted(places)

    def test_have_the_same_share_of_each_digit(self):
        counts = {
            split: np.bincount(
                [i['gt_label'] for i in DigitsDataset(split=split)]
            )
            for split in ('all', 'val')
        }
        np.testing.assert_allclose(counts['val'], counts['all'] / 5, atol=1)

    def test_never_change(self):
        """Checkpoints and scores depend on it."""
        every = self.pictures()
        places = [
            every.index(picture) for picture in self.pictures(split='val')
        ]
        assert places[:8] == [21, 24, 28, 34, 35, 37, 39, 42]

    def test_of_some_digits(self):
        both = [self.pictures(split=s, classes=[3]) for s in ('train', 'val')]
        assert sorted(both[0] + both[1]) == sorted(self.pictures(classes=[3]))

    def test_another(self):
        with pytest.raises(ValueError, match="'test'.*'all', 'train', 'val'"):
            DigitsDataset(split='test')


class TestArgumentsOfBaseDataset:
    def test_indices(self):
        assert len(DigitsDataset(indices=10)) == 10

    def test_lazy(self):
        dataset = DigitsDataset(lazy_init=True)
        dataset.full_init()
        assert len(dataset) == 1797

    def test_pipeline(self):
        item = DigitsDataset(pipeline=PACK)[3]
        assert item['inputs'].shape == (1, 8, 8)
        assert item['data_samples'] == dict(gt_label=3)


class TestFromAConfig:
    @pytest.fixture(autouse=True)
    def _scope(self):
        with DefaultScope.overwrite_default_scope('mmamp'):
            yield

    def test_batches(self):
        """As in configs/_base_/datasets/digits_32x32.py."""
        dataset = DATASETS.build(
            dict(
                type='DigitsDataset',
                classes=[4, 5],
                pipeline=[
                    dict(
                        type='Resize', scale=(32, 32), interpolation='bicubic'
                    ),
                    dict(type='PackImage'),
                ],
            )
        )
        loader = DataLoader(
            dataset, batch_size=6, collate_fn=FUNCTIONS.get('default_collate')
        )
        batch = next(iter(loader))
        assert batch['inputs'].shape == (6, 1, 32, 32)
        assert batch['inputs'].dtype is torch.uint8
        labels = batch['data_samples']['gt_label']
        assert labels.dtype is torch.int64
        assert labels.tolist() == [
            dataset[i]['data_samples']['gt_label'] for i in range(6)
        ]
        # The picture is that digit still, only larger.
        blocks = batch['inputs'].float().view(6, 8, 4, 8, 4).mean((2, 4))
        small = np.stack([dataset.get_data_info(i)['img'] for i in range(6)])
        assert np.corrcoef(blocks.flatten(), small.flatten())[0, 1] > 0.97
