import os

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mmamp.datasets import ImageFolderDataset
from mmamp.registry import DATASETS, FUNCTIONS

LOAD = [dict(type='mmamp.LoadImage'), dict(type='mmamp.PackImage')]


def write(path, size=(5, 4), value=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))
    return str(path)


def paths_of(dataset):
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


class TestFinding:
    def test_pictures_of_all_levels_in_order(self, tmp_path):
        names = [
            'b/2.png',
            'c.PNG',
            'a.jpg',
            'b/1/x.jpeg',
            'b/10.bmp',
            'z.webp',
        ]
        written = [write(tmp_path / name) for name in names]
        dataset = ImageFolderDataset(str(tmp_path))
        assert paths_of(dataset) == sorted(written)

    def test_nothing_else(self, tmp_path):
        picture = write(tmp_path / 'a.png')
        (tmp_path / 'readme.txt').write_text('no picture')
        (tmp_path / 'png').write_text('no picture')
        (tmp_path / 'a.png.json').write_text('{}')
        assert paths_of(ImageFolderDataset(str(tmp_path))) == [picture]

    def test_a_folder_whose_name_ends_like_a_picture(self, tmp_path):
        picture = write(tmp_path / 'holiday.jpg' / 'a.png')
        assert paths_of(ImageFolderDataset(str(tmp_path))) == [picture]

    def test_a_linked_folder(self, tmp_path):
        """Data sets are often put together of links."""
        write(tmp_path / 'elsewhere' / 'a.png')
        root = tmp_path / 'root'
        write(root / 'cat' / 'b.png')
        os.symlink(tmp_path / 'elsewhere', root / 'dog')
        dataset = ImageFolderDataset(str(root), with_labels=True)
        assert dataset.metainfo['classes'] == ('cat', 'dog')
        assert len(dataset) == 2

    def test_a_path_object(self, tmp_path):
        write(tmp_path / 'a.png')
        assert len(ImageFolderDataset(tmp_path)) == 1

    def test_a_relative_path(self, tmp_path, monkeypatch):
        write(tmp_path / 'data' / 'a.png')
        monkeypatch.chdir(tmp_path)
        dataset = ImageFolderDataset('data', pipeline=LOAD)
        assert dataset[0]['inputs'].shape == (3, 5, 4)

    def test_no_labels_by_default(self, tmp_path):
        write(tmp_path / 'cat' / 'a.png')
        dataset = ImageFolderDataset(str(tmp_path), pipeline=LOAD)
        assert 'classes' not in dataset.metainfo
        assert dataset[0]['data_samples'] == {}

    def test_indices(self, tmp_path):
        for i in range(5):
            write(tmp_path / f'{i}.png')
        dataset = ImageFolderDataset(str(tmp_path), indices=2)
        assert len(dataset) == 2


class TestLabels:
    def test_are_the_first_folders_in_alphabetical_order(self, tmp_path):
        names = ['cat/1.png', 'ant/x/1.png', 'ant/2.png', 'bee/cat/1.png']
        for name in names:
            write(tmp_path / name)
        dataset = ImageFolderDataset(
            str(tmp_path), with_labels=True, pipeline=LOAD
        )
        assert dataset.metainfo['classes'] == ('ant', 'bee', 'cat')
        found = {
            os.path.relpath(dataset.get_data_info(i)['img_path'], tmp_path): (
                dataset[i]['data_samples']['gt_label']
            )
            for i in range(4)
        }
        assert found == {
            'cat/1.png': 2,
            'ant/x/1.png': 0,
            'ant/2.png': 0,
            'bee/cat/1.png': 1,
        }

    def test_two_data_sets_do_not_mix(self, tmp_path):
        write(tmp_path / 'one' / 'a' / '1.png')
        write(tmp_path / 'two' / 'b' / '1.png')
        one, two = (
            ImageFolderDataset(str(tmp_path / name), with_labels=True)
            for name in ('one', 'two')
        )
        assert one.metainfo['classes'] == ('a',)
        assert two.metainfo['classes'] == ('b',)
        assert 'classes' not in ImageFolderDataset.METAINFO

    def test_loose_pictures(self, tmp_path):
        write(tmp_path / 'cat' / '1.png')
        loose = [write(tmp_path / f'{i}.png') for i in range(3)]
        with pytest.raises(ValueError, match='3 pictures') as error:
            ImageFolderDataset(str(tmp_path), with_labels=True)
        assert loose[0] in str(error.value)
        assert str(tmp_path) in str(error.value)


class TestErrors:
    def test_no_such_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match="'data/nope'") as error:
            ImageFolderDataset('data/nope')
        assert str(tmp_path) in str(error.value)

    def test_a_file(self, tmp_path):
        path = write(tmp_path / 'a.png')
        with pytest.raises(NotADirectoryError, match='is a file') as error:
            ImageFolderDataset(path)
        assert path in str(error.value)

    @pytest.mark.parametrize('name', [None, 'notes.txt'])
    def test_no_picture(self, tmp_path, name):
        if name:
            (tmp_path / name).write_text('')
        with pytest.raises(ValueError, match=r'no picture \(.*\.png') as error:
            ImageFolderDataset(str(tmp_path))
        assert str(tmp_path) in str(error.value)

    def test_an_unreadable_picture_is_named(self, tmp_path):
        write(tmp_path / 'a.png')
        (tmp_path / 'b.png').write_text('no picture')
        dataset = ImageFolderDataset(str(tmp_path), pipeline=LOAD)
        assert dataset[0]['inputs'].shape == (3, 5, 4)
        with pytest.raises(ValueError) as error:
            dataset[1]
        assert str(tmp_path / 'b.png') in str(error.value)


def test_batches_from_a_config(tmp_path):
    """Pictures of several sizes and kinds, from one loader."""
    write(tmp_path / 'a' / '1.png', size=(10, 7), value=10)
    write(tmp_path / 'a' / '2.jpg', size=(32, 64), value=20)
    write(tmp_path / 'b' / '3.bmp', size=(3, 3), value=30)
    cv2.imwrite(str(tmp_path / 'b' / '4.png'), np.full((9, 9), 40, np.uint8))
    with DefaultScope.overwrite_default_scope('mmamp'):
        dataset = DATASETS.build(
            dict(
                type='ImageFolderDataset',
                data_root=str(tmp_path),
                with_labels=True,
                pipeline=[
                    dict(type='LoadImage'),
                    dict(type='Resize', scale=(16, 8)),
                    dict(type='RandomFlip', prob=0.5),
                    dict(type='PackImage'),
                ],
            )
        )
        collate = FUNCTIONS.get('default_collate')
    batch = next(iter(DataLoader(dataset, batch_size=4, collate_fn=collate)))
    assert batch['inputs'].shape == (4, 3, 8, 16)
    assert batch['inputs'].dtype is torch.uint8
    assert batch['inputs'].float().mean((1, 2, 3)).round().tolist() == [
        10,
        20,
        30,
        40,
    ]
    assert batch['data_samples']['gt_label'].tolist() == [0, 0, 1, 1]
