"""Mistakes of those who train on pictures of their own, as they meet them."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmamp.train import main

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs/dcgan/dcgan_folder-64x64.py'
DIGITS = ROOT / 'configs/dcgan/dcgan_digits-32x32.py'
NUMBERS = itertools.count()
SMALL = [
    'train_cfg.max_iters=3',
    'train_dataloader.batch_size=4',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'model.generator.base_channels=2',
    'model.discriminator.base_channels=2',
    'model.ema_config.standing_batches=1',
    'default_hooks.logger.interval=1',
]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A working directory with a folder of them, each of another size."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(8):
        path = tmp_path / f'pics/{"ab"[i % 2]}/{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (70 + i, 90, 3), np.uint8)
        assert cv2.imwrite(str(path), image)
    return tmp_path / 'pics'


def train(config, *options):
    name = f'experiment_name=pictures{next(NUMBERS)}'
    arguments = [str(config), '--work-dir', f'runs/{name}', '--cfg-options']
    return main([*arguments, *SMALL, *options, name])


def refused(capsys, config, *options):
    """Exit code 2, and what is said: one line, without the log's name."""
    assert train(config, *options) == 2
    err = capsys.readouterr().err
    assert 'Traceback' not in err
    (line,) = [x for x in err.splitlines() if 'error: ' in x]
    return line.partition(' (more in ')[0]


def test_a_broken_picture_reads_the_same_with_any_number_of_workers(
    pictures, capsys
):
    broken = pictures / 'b/7.png'
    broken.write_bytes(b'not a picture')
    lines = set()
    for workers in (0, 2):
        lines.add(
            refused(
                capsys,
                FOLDER,
                'data_root=pics',
                f'train_dataloader.num_workers={workers}',
                # It is met in training, not where a picture is drawn.
                'val_dataloader.dataset.indices=4',
                'test_dataloader.dataset.indices=4',
                'custom_hooks=[]',
            )
        )
    (line,) = lines
    assert "cannot read 'pics/b/7.png' as a picture" in line
    assert len(line) < 300


def test_or_is_left_out(pictures, capsys):
    (pictures / 'b/7.png').write_bytes(b'not a picture')
    skip = [f'{x}_dataloader.dataset.on_error=skip' for x in ('train', 'val')]
    workers = 'train_dataloader.num_workers=0'
    assert train(FOLDER, 'data_root=pics', workers, *skip) == 0
    log = capsys.readouterr().out
    assert log.count('1 of 8 pictures') == 1
    assert "left out: 'pics/b/7.png'" in log


def naive(text):
    """A config of a newcomer's on top of the digits'."""
    Path('naive.py').write_text(f'_base_ = [{str(DIGITS)!r}]\n{text}')
    return 'naive.py'


def test_a_folder_in_the_place_of_the_digits(pictures, capsys):
    config = naive(
        "data = dict(dataset=dict(type='ImageFolderDataset', "
        "data_root='pics'))\n"
        'train_dataloader = data\nval_dataloader = data\n'
    )
    line = refused(capsys, config)
    assert 'pipeline: Resize, its transform number 1, needs a' in line


def test_colour_where_the_networks_are_grey(pictures, capsys):
    config = naive(
        "pipe = [dict(type='LoadImage'), dict(type='Resize', "
        "scale=(64, 64)), dict(type='PackImage')]\n"
        "data = dict(dataset=dict(type='ImageFolderDataset', "
        "data_root='pics', pipeline=pipe))\n"
        'train_dataloader = data\nval_dataloader = data\n'
        "val_evaluator = dict(_delete_=True, type='SWD', num_patches=1)\n"
        "default_hooks = dict(checkpoint=dict(save_best='SWD/avg'))\n"
    )
    keys = [
        'model.generator.out_channels=3',
        'model.generator.image_size=64',
        'model.discriminator.in_channels=3',
        'model.discriminator.image_size=64',
    ]
    line = refused(capsys, config)
    for key in keys:
        assert key in line
    assert train(config, *keys) == 0


def test_pictures_that_nothing_makes_of_one_size(pictures, capsys):
    config = naive(
        "pipe = [dict(type='LoadImage'), dict(type='PackImage')]\n"
        "data = dict(dataset=dict(type='ImageFolderDataset', "
        "data_root='pics', pipeline=pipe))\n"
        'train_dataloader = data\nval_dataloader = data\n'
        "custom_hooks = [dict(type='StateHook')]\n"
    )
    line = refused(
        capsys,
        config,
        'model.generator.out_channels=3',
        'model.discriminator.in_channels=3',
    )
    assert 'of 3 channels and 70x90 pixels' in line
    assert "dict(type='Resize', scale=(32, 32))" in line
