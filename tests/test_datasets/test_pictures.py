"""Pictures that cannot be read, and pipelines that cannot be."""

import logging

import cv2
import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmamp.datasets import (
    DigitsDataset,
    ImageFolderDataset,
    PairedFolderDataset,
)
from mmamp.errors import DataError, UsageError
from mmamp.registry import TRANSFORMS

LOAD, PACK = dict(type='LoadImage'), dict(type='PackImage')
RESIZE = dict(type='Resize', scale=(8, 8))
BROKEN = dict(empty=b'', text=b'no picture', cut=None)


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmamp')


def write(path, height=8, width=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    img = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    assert cv2.imwrite(str(path), img.astype(np.uint8))
    return path


def spoil(path, how):
    """Have a file be no picture any more."""
    content = BROKEN[how]
    if content is None:
        content = path.read_bytes()[:40]
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    for i in range(6):
        write(tmp_path / f'pics/{i}.png')
    return tmp_path / 'pics'


def loader(dataset, workers=0, batch_size=2):
    return Runner.build_dataloader(
        dict(
            batch_size=batch_size,
            num_workers=workers,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='mmamp.default_collate'),
            dataset=dataset,
        )
    )


def of(folder, pipeline=(LOAD, PACK), **kwargs):
    return dict(
        type='ImageFolderDataset',
        data_root=str(folder),
        pipeline=[*pipeline],
        **kwargs,
    )


def said(loader):
    with pytest.raises(DataError) as error:
        list(loader)
    text = str(error.value)
    assert '\n' not in text
    assert len(text) < 400
    return text


class TestBroken:
    @pytest.mark.parametrize('how', BROKEN)
    def test_path_in_one_line_from_any_number_of_workers(self, how, folder):
        path = spoil(folder / '3.png', how)
        texts = {said(loader(of(folder), workers)) for workers in (0, 1, 2)}
        (text,) = texts
        assert text.startswith(f'cannot read {path!r} as a picture (')
        assert ('is empty' in text) == (how == 'empty')
        assert 'resize_folder.py' in text
        assert "on_error='skip'" in text

    def test_skipped_counted_and_listed_once(self, folder, mm_log):
        paths = [spoil(folder / f'{i}.png', 'text') for i in (1, 4)]
        for _ in range(2):  # for training and for validation
            found = loader(of(folder, on_error='skip'))
            assert sum(len(batch['inputs']) for batch in found) == 4
        log = mm_log(logging.WARNING)
        assert log.count('2 of 6 pictures') == 1
        for path in paths:
            assert path in log

    def test_none_is_skipped_without_a_word(self, folder, mm_log):
        found = ImageFolderDataset(
            str(folder), on_error='skip', pipeline=[LOAD, PACK]
        )
        assert len(found) == 6
        assert mm_log(logging.WARNING) == ''
        assert 'on_error' not in mm_log()

    def test_all_are_broken(self, folder):
        for path in folder.glob('*'):
            spoil(path, 'text')
        with pytest.raises(ValueError, match='none of 6 pictures'):
            ImageFolderDataset(
                str(folder), on_error='skip', pipeline=[LOAD, PACK]
            )

    def test_both_of_a_pair_are_left_out(self, tmp_path):
        for i in range(3):
            write(tmp_path / f'a/{i}.png')
            write(tmp_path / f'b/{i}.png')
        spoil(tmp_path / 'a/0.png', 'text')
        spoil(tmp_path / 'b/2.png', 'cut')
        dataset = PairedFolderDataset(
            str(tmp_path),
            source='a',
            target='b',
            on_error='skip',
            pipeline=[LOAD, dict(LOAD, key='gt_img'), PACK],
        )
        assert len(dataset) == 1
        assert dataset.get_data_info(0)['img_path'].endswith('a/1.png')

    def test_other_words(self, folder):
        with pytest.raises(ValueError, match="on_error='drop' is unknown"):
            ImageFolderDataset(str(folder), on_error='drop')

    def test_numbers_of_classes_stay(self, tmp_path):
        for name in ('a', 'b', 'c'):
            write(tmp_path / name / '0.png')
        spoil(tmp_path / 'b/0.png', 'text')
        dataset = ImageFolderDataset(
            str(tmp_path), with_labels=True, on_error='skip', pipeline=[LOAD]
        )
        labels = [dataset.get_data_info(i)['gt_label'] for i in range(2)]
        assert labels == [0, 2]


@TRANSFORMS.register_module(force=True)
class NeedsMask(BaseTransform):
    def transform(self, results):
        return dict(results, mask=results['mask'])


@TRANSFORMS.register_module(force=True)
class Wrong(BaseTransform):
    def transform(self, results):
        raise ValueError('of my own')


class TestPipelines:
    @pytest.mark.parametrize(
        ('pipeline', 'name', 'number'),
        [
            ([PACK], 'PackImage', 1),
            ([RESIZE, PACK], 'Resize', 1),
            ([RESIZE, LOAD, PACK], 'Resize', 1),
            ([dict(type='RandomCrop', size=4), LOAD, PACK], 'RandomCrop', 1),
            ([dict(type='CenterCrop', crop_size=4), PACK], 'CenterCrop', 1),
        ],
    )
    def test_work_before_reading(self, folder, pipeline, name, number):
        with pytest.raises(UsageError) as error:
            ImageFolderDataset(str(folder), pipeline=pipeline)
        text = str(error.value)
        assert f'{name}, its transform number {number}, needs' in text
        assert "dict(type='LoadImage')" in text
        assert ('comes after it' in text) == (LOAD in pipeline)

    @pytest.mark.parametrize('workers', [0, 2])
    def test_a_key_that_nothing_gives(self, folder, workers):
        text = said(loader(of(folder, [LOAD, NEEDS_MASK, PACK]), workers))
        assert 'NeedsMask, its transform number 2, needs' in text
        assert "'mask', but there are only img_path" in text

    def test_the_other_picture_of_a_pair(self, tmp_path):
        for name in ('a', 'b'):
            write(tmp_path / f'{name}/0.png')
        both = dict(type='RandomCrop', size=4, keys=('img', 'gt_img'))
        text = said(
            loader(
                dict(
                    type='PairedFolderDataset',
                    data_root=str(tmp_path),
                    source='a',
                    target='b',
                    pipeline=[LOAD, both, PACK],
                )
            )
        )
        assert "RandomCrop, its transform number 2, needs 'gt_img'" in text
        assert "dict(type='LoadImage', key='gt_img') before it" in text

    def test_broadcast_to_a_picture_that_is_not_there(self, folder):
        both = dict(
            type='TransformBroadcaster',
            mapping=dict(img=['img', 'gt_img']),
            auto_remap=True,
            transforms=[RESIZE],
        )
        text = said(loader(of(folder, [LOAD, both, PACK])))
        assert 'TransformBroadcaster' in text
        assert 'gt_img' in text

    def test_of_a_dataset_in_memory(self):
        crop = dict(type='RandomCrop', size=4, keys=('img', 'gt_img'))
        dataset = DigitsDataset(pipeline=[crop, PACK])
        with pytest.raises(DataError, match="RandomCrop.*needs 'gt_img'"):
            dataset[0]

    @pytest.mark.parametrize('workers', [0, 2])
    def test_what_a_transform_of_ours_cannot_do(self, folder, workers):
        crop = dict(type='RandomCrop', size=16)
        text = said(loader(of(folder, [LOAD, crop, PACK]), workers))
        assert 'cannot crop a picture of 8 rows' in text
        assert str(folder / '0.png') in text

    def test_an_error_of_the_users_own_stays(self, folder):
        dataset = ImageFolderDataset(str(folder), pipeline=[LOAD, WRONG])
        with pytest.raises(ValueError, match='of my own') as error:
            dataset[0]
        assert type(error.value) is ValueError

    @pytest.mark.parametrize('workers', [0, 2])
    def test_sizes_that_differ(self, folder, workers):
        write(folder / '1.png', 12, 8)
        text = said(loader(of(folder), workers))
        assert '(3, 8, 8) and (3, 12, 8)' in text
        assert "dict(type='Resize'" in text


NEEDS_MASK, WRONG = dict(type='NeedsMask'), dict(type='Wrong')
