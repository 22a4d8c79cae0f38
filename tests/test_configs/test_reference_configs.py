"""Every config trains, resumes, is tested and sampled."""

import json
import math
from pathlib import Path

import cv2
import pytest
from mmengine.config import Config

from mmamp import sample, test, train

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / 'configs').glob('[!_]*/*.py'))
EMBEDDED = [c for c in CONFIGS if 'folder' not in c.name]


def name_of(config):
    return config.stem


def small(cfg):
    """Options that leave little to do: data, not networks, get fewer."""
    options = ['train_dataloader.batch_size=2', 'train_cfg.val_interval=3']
    options += ['default_hooks.checkpoint.interval=3']
    for mode in ('train', 'val', 'test'):
        loader = cfg[f'{mode}_dataloader']
        options.append(f'{mode}_dataloader.num_workers=0')
        options.append(f'{mode}_dataloader.persistent_workers=False')
        if mode == 'train':
            continue
        if loader.dataset.type == 'UnpairedDataset':
            for side in ('source', 'target'):
                key = f'{mode}_dataloader.dataset.{side}.indices=6'
                options.append(key)
        else:
            options.append(f'{mode}_dataloader.dataset.indices=12')
    return options


def run_all(config, work_dir, amp, options, capsys):
    """Three iterations, two more after a resume, a test, samples."""
    cfg = Config.fromfile(config)
    amp = ['--amp'] if amp else []
    common = ['--work-dir', str(work_dir), *amp, '--cfg-options']
    options = [*small(cfg), *options]

    def train_to(iters, *more):
        return train.main(
            [
                *(str(config), *more, *common, *options),
                f'train_cfg.max_iters={iters}',
            ]
        )

    assert train_to(3) == 0
    log = capsys.readouterr().out
    assert ('Mixed precision:' in log) == bool(amp)
    assert (work_dir / 'iter_3.pth').is_file()
    assert list(work_dir.glob('best_*.pth'))
    assert train_to(5, '--resume') == 0
    assert 'resumed epoch: 0, iter: 3' in capsys.readouterr().out
    tested = work_dir / 'tested'
    code = test.main(
        [
            *(str(config), str(work_dir / 'iter_5.pth'), *amp),
            *('--work-dir', str(tested), '--cfg-options', *options),
        ]
    )
    assert code == 0
    (file,) = tested.glob('2*/2*.json')
    metrics = json.loads(file.read_text())
    values = [v for k, v in metrics.items() if 'time' not in k]
    assert values
    assert all(math.isfinite(value) for value in values)
    out = work_dir / 'samples'
    arguments = [str(config), str(work_dir), '--num', '3', '--out', str(out)]
    assert sample.main([*arguments, '--cfg-options', *options]) == 0
    images = [cv2.imread(str(out / f'0000{i}.png')) for i in range(3)]
    assert all(image.std() > 0 for image in images)


@pytest.mark.parametrize('config', EMBEDDED, ids=name_of)
@pytest.mark.parametrize('amp', [False, True], ids=['float32', 'amp'])
def test_embedded_data(config, amp, tmp_path, monkeypatch, capsys):
    if config.parent.name == 'digit_features':
        pytest.skip('no GAN: tests/test_evaluation/test_digit_features.py')
    monkeypatch.chdir(ROOT)
    run_all(config, tmp_path, amp and is_plain(config), [], capsys)


def is_plain(config):
    """Whether a config is written in float32; else --amp is for nothing."""
    return 'AmpOptimWrapper' not in config.read_text()


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
