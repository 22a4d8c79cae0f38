"""Batches from the data configs, as a Runner builds their loaders."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmamp.models import GANDataPreprocessor

FOLDER = Path(__file__).parents[2] / 'configs/_base_/datasets'


@pytest.fixture
def load(tmp_path, monkeypatch):
    """``load(name)``: a config whose data are below the working directory."""
    monkeypatch.chdir(tmp_path)
    init_default_scope('mmamp')

    def load(name):
        cfg = Config.fromfile(FOLDER / f'{name}.py')
        assert {'val_cfg', 'test_cfg'} <= cfg.keys()
        for part in ('train', 'val', 'test'):
            loader = cfg[f'{part}_dataloader']
            # Processes are slow to start, and others test them.
            loader.num_workers = 0
            loader.pop('persistent_workers', None)
        return cfg

    return load


def loader(cfg, part):
    return Runner.build_dataloader(cfg[f'{part}_dataloader'], seed=0)


def first(cfg, part):
    return next(iter(loader(cfg, part)))


def write(path, height, width):
    """Left half dark, right half bright: flips can be seen."""
    img = np.full((height, width, 3), 40, np.uint8)
    img[:, width // 2 :] = 200
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), img)


def shapes(batch):
    found = dict(inputs=tuple(batch['inputs'].shape))
    for key, value in batch['data_samples'].items():
        found[key] = tuple(value.shape)
    # The model gets what it expects.
    for value in GANDataPreprocessor()(batch)['data_samples'].values():
        assert value.dtype in (torch.float32, torch.int64)
    return found


def every_name():
    return sorted(path.stem for path in FOLDER.glob('*.py'))


def test_none_is_forgotten_here():
    assert every_name() == [
        'digits_32x32',
        'digits_edges_32x32',
        'digits_unpaired_32x32',
        'image_folder_64x64',
        'paired_folder_256x256',
        'photos_x4',
        'sr_folder_x4',
        'unpaired_folders_256x256',
    ]


@pytest.mark.parametrize('name', every_name())
def test_training_is_endless_and_evaluation_ordered(load, name):
    cfg = load(name)
    assert cfg.train_dataloader.sampler.type == 'InfiniteSampler'
    for part in ('val', 'test'):
        sampler = cfg[f'{part}_dataloader'].sampler
        assert sampler == dict(type='DefaultSampler', shuffle=False)


class TestDigits:
    @pytest.mark.parametrize('part', ['val', 'test'])
    def test_evaluation_sees_all(self, load, part):
        batches = list(loader(load('digits_32x32'), part))
        assert sum(len(batch['inputs']) for batch in batches) == 1797
        assert shapes(batches[0]) == dict(
            inputs=(100, 1, 32, 32), gt_label=(100,)
        )

    def test_training(self, load):
        cfg = load('digits_32x32')
        assert len(loader(cfg, 'train').dataset) == 1797
        assert first(cfg, 'train')['inputs'].shape == (64, 1, 32, 32)

    def test_edges(self, load):
        cfg = load('digits_edges_32x32')
        assert len(loader(cfg, 'train').dataset) == 1437
        assert len(loader(cfg, 'val').dataset) == 360
        for part, size in (('train', 16), ('val', 100)):
            batch = first(cfg, part)
            assert shapes(batch) == dict(
                inputs=(size, 1, 32, 32),
                gt_img=(size, 1, 32, 32),
                gt_label=(size,),
            )
            digits = batch['data_samples']['gt_img']
            assert not torch.equal(batch['inputs'], digits)

    def test_unpaired(self, load):
        cfg = load('digits_unpaired_32x32')
        dataset = loader(cfg, 'train').dataset
        infos = [
            [side.get_data_info(i)['img'].tobytes() for i in range(len(side))]
            for side in (dataset.source, dataset.target)
        ]
        assert [len(side) for side in infos] == [718, 719]
        assert not set(infos[0]) & set(infos[1])
        assert shapes(first(cfg, 'train')) == dict(
            inputs=(16, 1, 32, 32), target_img=(16, 1, 32, 32), gt_label=(16,)
        )
        for side in (dataset.source, dataset.target):
            labels = [side.get_data_info(i)['gt_label'] for i in range(718)]
            assert np.bincount(labels).min() > 50

    def test_unpaired_are_pairs_for_evaluation(self, load):
        batch = first(load('digits_unpaired_32x32'), 'val')
        pairs = first(load('digits_edges_32x32'), 'val')
        assert torch.equal(batch['inputs'], pairs['data_samples']['gt_img'])
        assert torch.equal(
            batch['data_samples']['target_img'], pairs['inputs']
        )


class TestPhotos:
    @pytest.mark.parametrize(('part', 'size'), [('train', 16), ('val', 8)])
    def test_pairs(self, load, part, size):
        assert shapes(first(load('photos_x4'), part)) == dict(
            inputs=(size, 3, 24, 24), gt_img=(size, 3, 96, 96)
        )


class TestFolders:
    def test_images(self, load, tmp_path):
        for i, size in enumerate([(100, 70), (64, 200), (30, 64)]):
            write(tmp_path / f'data/images/{i}.png', *size)
        cfg = load('image_folder_64x64')
        assert shapes(first(cfg, 'train'))['inputs'] == (64, 3, 64, 64)
        batch = first(cfg, 'val')
        assert batch['inputs'].shape == (3, 3, 64, 64)
        # The middle is cut out, nothing squeezed: the border stays there.
        for picture in batch['inputs']:
            assert picture[:, :, :30].max() < 60
            assert picture[:, :, 34:].min() > 180

    def test_pairs(self, load, tmp_path):
        for part in ('train', 'val'):
            for i in range(3):
                root = tmp_path / 'data/paired' / part
                write(root / f'source/{i}.png', 300, 280)
                write(root / f'target/{i}.jpg', 200, 220)
        cfg = load('paired_folder_256x256')
        expected = dict(inputs=(1, 3, 256, 256), gt_img=(1, 3, 256, 256))
        assert shapes(first(cfg, 'val')) == expected
        borders = set()
        for batch, _ in zip(loader(cfg, 'train'), range(12), strict=False):
            assert shapes(batch) == expected
            rows = [
                batch['inputs'][0, 0, 100] > 120,
                batch['data_samples']['gt_img'][0, 0, 100] > 120,
            ]
            # Same flip and same crop, up to the JPEG's blur.
            assert (rows[0] != rows[1]).sum() <= 3
            borders.add((bool(rows[0][0]), int(rows[0].sum())))
        assert {flipped for flipped, _ in borders} == {True, False}
        assert len({border for _, border in borders}) > 4

    def test_unpaired(self, load, tmp_path):
        root = tmp_path / 'data/unpaired'
        for name, number in zip(
            ('trainA', 'trainB', 'testA', 'testB'), (3, 2, 1, 2), strict=True
        ):
            for i in range(number):
                write(root / name / f'{i}.png', 90, 120)
        cfg = load('unpaired_folders_256x256')
        for part, number in (('train', 3), ('val', 1), ('test', 1)):
            assert len(loader(cfg, part).dataset) == number
            assert shapes(first(cfg, part)) == dict(
                inputs=(1, 3, 256, 256), target_img=(1, 3, 256, 256)
            )

    def test_super_resolution(self, load, tmp_path):
        for part in ('train', 'val'):
            write(tmp_path / 'data/sr' / part / 'a.png', 301, 270)
        cfg = load('sr_folder_x4')
        assert shapes(first(cfg, 'train')) == dict(
            inputs=(16, 3, 24, 24), gt_img=(16, 3, 96, 96)
        )
        assert shapes(first(cfg, 'val')) == dict(
            inputs=(1, 3, 64, 64), gt_img=(1, 3, 256, 256)
        )
