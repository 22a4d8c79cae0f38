"""Batches of any size, of one sample."""

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmamp.plan.batches import Batches

LOADER = dict(
    batch_size=4,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        type='DigitsDataset',
        pipeline=[
            dict(type='Resize', scale=(32, 32)),
            dict(type='PackImage'),
        ],
    ),
)


def batches(**loader):
    init_default_scope('mmamp')
    return Batches(Config(dict(train_dataloader=dict(LOADER, **loader))))


def test_stacked():
    found = batches(collate_fn=dict(type='mmamp.default_collate'))
    assert found.size == 4
    real, like = found.of(5), found.like(5)
    assert like['inputs'].shape == real['inputs'].shape == (5, 1, 32, 32)
    assert like['inputs'].dtype is torch.uint8
    labels = like['data_samples']['gt_label']
    assert labels.shape == real['data_samples']['gt_label'].shape
    huge = found.like(10**9)['inputs']
    assert len(huge) == 10**9
    assert huge.untyped_storage().nbytes() == 1


def test_lists():
    found = batches()
    real, like = found.of(5), found.like(5)
    assert len(like['inputs']) == len(real['inputs']) == 5
    assert like['inputs'][0].shape == (1, 32, 32)
