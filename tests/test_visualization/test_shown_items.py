import numpy as np
import pytest
import torch

from mmamp.registry import DATASETS
from mmamp.visualization.shown_items import shown_items


def digits(*transforms, **kwargs):
    pipeline = [*transforms, dict(type='mmamp.PackImage')]
    return DATASETS.build(
        dict(type='mmamp.DigitsDataset', pipeline=pipeline, **kwargs)
    )


def labels_of(batch):
    return batch['data_samples']['gt_label'].tolist()


def test_spread_over_the_data_in_order():
    data = [dict(inputs=torch.full((1, 2, 2), i)) for i in range(10)]
    batch = shown_items(data, 4)
    assert batch['inputs'][:, 0, 0, 0].tolist() == [0, 2, 5, 7]
    assert len(shown_items(data, 10)['inputs'].unique()) == 10


def test_of_a_small_dataset_some_come_again():
    batch = shown_items(digits(indices=2), 5)
    assert labels_of(batch) == [0, 0, 0, 1, 1]


def test_of_classes():
    batch = shown_items(digits(), 4, [3, 3, 7, 3])
    assert labels_of(batch) == [3, 3, 7, 3]
    first, second, _, third = batch['inputs']
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_a_class_that_there_is_not():
    assert labels_of(shown_items(digits(classes=[1]), 2, [1, 5])) == [1, 1]


def test_data_without_labels():
    data = [dict(inputs=torch.zeros(1, 2, 2) + i) for i in range(3)]
    batch = shown_items(data, 2, [4, 4])
    assert batch['inputs'][:, 0, 0, 0].tolist() == [0, 1]


def test_several_sizes():
    data = [dict(inputs=torch.zeros(1, 2, 2 + i)) for i in range(3)]
    with pytest.raises(ValueError, match=r'of list are of several sizes'):
        shown_items(data, 2)
    assert len(shown_items(data, 1)['inputs']) == 1


def test_random_transforms_do_the_same_each_time():
    data = digits(dict(type='RandomFlip', prob=0.5))
    np.random.seed(0)
    first = shown_items(data, 20)['inputs']
    state = np.random.get_state()[1].copy()
    assert torch.equal(shown_items(data, 20)['inputs'], first)
    assert (np.random.get_state()[1] == state).all()
    assert not torch.equal(first, shown_items(digits(), 20)['inputs'])
