import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from mmamp.datasets import PhotosDataset
from mmamp.registry import DATASETS


def patches(*args, **kwargs):
    return [item['img'] for item in PhotosDataset(*args, **kwargs)]


@pytest.fixture(scope='module')
def photos():
    """As BGR."""
    return [photo[:, :, ::-1] for photo in load_sample_images().images]


def test_train_patches_are_of_the_left(photos):
    given = patches('train', patch_size=120)
    wanted = [
        photo[r : r + 120, c : c + 120]
        for photo in photos
        for r in (0, 120, 240)
        for c in (0, 120, 240, 360)
    ]
    np.testing.assert_array_equal(given, wanted)
    assert given[0].dtype == np.uint8


def test_validation_patches_are_of_the_right(photos):
    given = patches('val', patch_size=160, stride=100)
    wanted = [
        photo[r : r + 160, 480:640] for photo in photos for r in (0, 100, 200)
    ]
    np.testing.assert_array_equal(given, wanted)


def test_empty_patches_can_be_left_out():
    every = patches('val')
    kept = patches('val', min_detail=4)
    spread = [np.abs(np.diff(p.mean(2), axis=1)).mean() for p in every]
    assert 0 < len(kept) < len(every)
    busiest = every[int(np.argmax(spread))]
    emptiest = every[int(np.argmin(spread))]
    assert any((patch == busiest).all() for patch in kept)
    assert not any((patch == emptiest).all() for patch in kept)


@pytest.mark.parametrize(
    ('split', 'size', 'stride', 'number'),
    [
        ('train', 96, None, 2 * 4 * 5),
        ('train', 96, 24, 2 * 14 * 17),
        ('val', 96, 32, 2 * 11 * 3),
        ('val', 64, None, 2 * 6 * 2),
    ],
)
def test_stride(split, size, stride, number):
    given = patches(split, patch_size=size, stride=stride)
    assert len(given) == number
    assert {patch.shape for patch in given} == {(size, size, 3)}


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(split='test'), "split='test'.*'train', 'val'"),
        (dict(split='val', patch_size=161), 'from 1 to 160.*161'),
        (dict(split='val', patch_size=0), 'from 1 to 160.*0'),
        (dict(split='val', min_detail=-1), 'min_detail must be .* got -1'),
        (dict(split='val', min_detail=99), 'leaves no patch: the most .* 33'),
        (dict(split='val', stride=0), 'stride must be an int >= 1.*0'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PhotosDataset(**kwargs)


def test_pairs_for_super_resolution():
    dataset = DATASETS.build(
        dict(
            type='mmamp.PhotosDataset',
            split='val',
            pipeline=[
                dict(type='mmamp.MakeLowResolution', scale=4),
                dict(type='mmamp.PackImage'),
            ],
        )
    )
    item = dataset[2]
    high = item['data_samples']['gt_img']
    assert high.shape == (3, 96, 96)
    assert item['inputs'].shape == (3, 24, 24)
    blocks = high.float().view(3, 24, 4, 24, 4).mean((2, 4))
    assert (blocks - item['inputs']).abs().mean() < 6
