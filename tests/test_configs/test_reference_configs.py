"""Every config trains, resumes, is tested and sampled."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.cnn import VGG
from mmengine.config import Config
from mmengine.registry import MODELS

from mmamp import sample, test, train

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / 'configs').glob('[!_]*/*.py'))
FOLDERS = [config for config in CONFIGS if 'folder' in config.name]
EMBEDDED = [
    config
    for config in CONFIGS
    # No GAN: tests/test_evaluation/test_digit_features.py.
    if config not in FOLDERS and config.parent.name != 'digit_features'
]


def cases(configs):
    """In float32 and with --amp; those that are in AMP, as they stand."""
    return [
        pytest.param(config, amp, id=f'{config.stem}{"-amp" * amp}')
        for config in configs
        for amp in ([False] if is_in_amp(config) else [False, True])
    ]


def is_in_amp(config):
    return 'AmpOptimWrapper' in config.read_text()


def small(cfg, num, interval):
    """Options that leave little to do: data, not networks, get fewer."""
    batch_size = min(2, cfg.train_dataloader.batch_size)
    options = [f'train_dataloader.batch_size={batch_size}']
    options += [f'train_cfg.val_interval={interval}']
    options += [f'default_hooks.checkpoint.interval={interval}']
    for mode in ('train', 'val', 'test'):
        loader = cfg[f'{mode}_dataloader']
        options.append(f'{mode}_dataloader.num_workers=0')
        options.append(f'{mode}_dataloader.persistent_workers=False')
        if mode == 'train':
            continue
        if loader.dataset.type == 'UnpairedDataset':
            for side in ('source', 'target'):
                key = f'{mode}_dataloader.dataset.{side}.indices={num}'
                options.append(key)
        else:
            options.append(f'{mode}_dataloader.dataset.indices={num}')
    return options


def run_all(config, amp, work_dir, capsys, num, iters, more=()):
    """Train to an iteration, resume to another one, test and sample.

    Returns:
        tuple: Metrics of ``num`` pictures, and ``num`` samples.
    """
    cfg = Config.fromfile(config)
    flag = ['--amp'] if amp else []
    options = ['--cfg-options', *small(cfg, num, iters[0]), *more]

    def train_to(iteration, *resume):
        return train.main(
            [
                *(str(config), *resume, '--work-dir', str(work_dir), *flag),
                *(*options, f'train_cfg.max_iters={iteration}'),
            ]
        )

    assert train_to(iters[0]) == 0
    log = capsys.readouterr().out
    assert ('Mixed precision:' in log) == amp
    assert (': bfloat16 on cpu' in log) == (amp or is_in_amp(config))
    assert (work_dir / f'iter_{iters[0]}.pth').is_file()
    save_best = cfg.default_hooks.checkpoint.get('save_best')
    assert bool(save_best) == bool(list(work_dir.glob('best_*.pth')))
    assert train_to(iters[1], '--resume') == 0
    resumed = f'resumed epoch: 0, iter: {iters[0]}'
    assert resumed in capsys.readouterr().out
    checkpoint = str(work_dir / f'iter_{iters[1]}.pth')
    tested = work_dir / 'tested'
    arguments = [str(config), checkpoint, *flag, '--work-dir', str(tested)]
    assert test.main([*arguments, *options]) == 0
    (file,) = tested.glob('2*/2*.json')
    out = work_dir / 'samples'
    arguments = [str(config), checkpoint, '--num', str(num)]
    assert sample.main([*arguments, '--out', str(out), *options]) == 0
    paths = sorted(out.glob('0*.png'))
    return json.loads(file.read_text()), [cv2.imread(str(p)) for p in paths]


@pytest.mark.parametrize(('config', 'amp'), cases(EMBEDDED))
def test_embedded_data(config, amp, tmp_path, capsys):
    metrics, images = run_all(config, amp, tmp_path, capsys, 12, (3, 5))
    values = [v for k, v in metrics.items() if 'time' not in k]
    assert values
    assert all(math.isfinite(value) for value in values)
    assert len(images) == 12
    assert all(image.std() > 0 for image in images)


SIDES = ('generator', 'discriminator')
# At 256x256 an iteration of CycleGAN takes a core a minute; to validate both
# sides of it, or to make such a picture by ESRGAN, seconds.
SMALLER = dict(
    cyclegan=[
        option
        for side in ('source', 'target')
        for option in (
            f'train_dataloader.dataset.{side}.pipeline.2.size=64',
            f'val_dataloader.dataset.{side}.pipeline.1.scale=(64,64)',
            f'test_dataloader.dataset.{side}.pipeline.1.scale=(64,64)',
        )
    ],
    esrgan=[
        'val_dataloader.dataset.pipeline.1.crop_size=96',
        'test_dataloader.dataset.pipeline.1.crop_size=96',
    ],
    # Of noise, in the paper's widths.
    **{
        family: [f'model.{side}.base_channels=2' for side in SIDES]
        + ['model.ema_config.standing_batches=1']
        for family in ('dcgan', 'lsgan', 'wgan_gp', 'sagan', 'biggan')
    },
    stylegan2=[
        option
        for side in SIDES
        for option in (
            f'model.{side}.channel_base=64',
            f'model.{side}.channel_max=4',
        )
    ],
)
# A folder with two classes.
SMALLER['biggan'] += ['model.num_classes=2']
SMALLER['sagan'] += [f'model.{side}.attention_size=None' for side in SIDES]
SMALLER['biggan'] += [f'model.{side}.attention_size=None' for side in SIDES]
FROM_NOISE = [
    config
    for config in FOLDERS
    if config.parent.name
    in ('dcgan', 'lsgan', 'wgan_gp', 'sagan', 'biggan', 'stylegan2')
]


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """A folder with the data that configs on folders name."""
    root = tmp_path_factory.mktemp('folders')
    rng = np.random.default_rng(0)
    for folder in (
        *('paired/train/source', 'paired/train/target'),
        *('paired/val/source', 'paired/val/target'),
        *('unpaired/trainA', 'unpaired/trainB'),
        *('unpaired/testA', 'unpaired/testB'),
        *('sr/train', 'sr/val'),
        *('images/cats', 'images/dogs'),
    ):
        path = root / 'data' / folder
        path.mkdir(parents=True)
        for i in range(2):
            image = rng.integers(0, 256, (260, 260, 3), np.uint8)
            cv2.imwrite(str(path / f'{i}.png'), image)
    weights = VGG(19, with_last_pool=True).state_dict()
    torch.save(weights, root / 'data/vgg19-dcbb9e9d.pth')
    return root


@pytest.mark.slow
@pytest.mark.parametrize(('config', 'amp'), cases(FOLDERS))
def test_folders(config, amp, folders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folders)
    more = SMALLER.get(config.parent.name, ())
    metrics, images = run_all(config, amp, tmp_path, capsys, 2, (2, 3), more)
    values = [v for k, v in metrics.items() if 'time' not in k]
    assert values
    assert all(math.isfinite(value) for value in values)
    assert len(images) == 2
    assert all(image.std() > 0 for image in images)


@pytest.mark.parametrize('config', FROM_NOISE, ids=lambda path: path.stem)
def test_folder_from_noise(config, folders, tmp_path, capsys):
    """One key says where the pictures are."""
    cfg = Config.fromfile(config)
    assert cfg.val_evaluator[0].type == 'SWD'
    options = [
        f'data_root={folders / "data/images"}',
        'train_cfg.max_iters=2',
        *small(cfg, 4, 2),
        *SMALLER[config.parent.name],
    ]
    arguments = [str(config), '--work-dir', str(tmp_path), '--cfg-options']
    assert train.main([*arguments, *options]) == 0
    log = capsys.readouterr().out
    assert 'SWD/avg: ' in log
    assert (tmp_path / 'iter_2.pth').is_file()
    # In colour.
    (picture,) = tmp_path.glob('2*/vis_data/vis_image/samples_2.png')
    assert cv2.imread(str(picture)).std(-1).max() > 0


def test_a_wrong_number_of_classes(folders, tmp_path, capsys):
    config = ROOT / 'configs/biggan/biggan_folder-64x64.py'
    options = [*small(Config.fromfile(config), 4, 2), *SMALLER['biggan']]
    options += [f'data_root={folders / "data/images"}', 'model.num_classes=1']
    arguments = [str(config), '--work-dir', str(tmp_path), '--cfg-options']
    assert train.main([*arguments, *options]) == 2
    (line,) = [
        x for x in capsys.readouterr().err.splitlines() if 'error:' in x
    ]
    assert 'the data have 2 classes (cats, dogs)' in line
    assert 'set model.num_classes=2' in line


def test_every_config_is_in_a_readme():
    for config in CONFIGS:
        readme = (config.parent / 'README.md').read_text()
        assert f']({config.name})' in readme, config


def test_there_are_those_of_the_reference():
    """Families of the README."""
    families = {config.parent.name for config in CONFIGS}
    assert families >= {
        *('dcgan', 'lsgan', 'wgan_gp', 'sagan', 'biggan', 'stylegan2'),
        *('pix2pix', 'cyclegan', 'srgan', 'esrgan'),
    }


@pytest.mark.parametrize('config', CONFIGS, ids=lambda path: path.stem)
def test_networks_can_be_sharded(config):
    """FSDP2 takes no scalars."""
    cfg = Config.fromfile(config)
    model = MODELS.build(dict(cfg.model, _scope_='mmamp'))
    assert [n for n, p in model.named_parameters() if not p.dim()] == []
