"""Metrics in a run: built by the Runner, logged, and what is best by them."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

CONFIGS = Path(__file__).parents[2] / 'configs'
SIZE = 16
PIPELINE = [
    dict(type='Resize', scale=(SIZE, SIZE)),
    dict(type='PackImage'),
]


@pytest.fixture
def gan_options():
    evaluators = Config.fromfile(CONFIGS / '_base_/evaluators/digits.py')
    return {
        'model.generator.image_size': SIZE,
        'model.discriminator.image_size': SIZE,
        'train_dataloader.dataset.pipeline': PIPELINE,
        'train_cfg.val_interval': 2,
        'val_cfg': dict(),
        'val_dataloader': dict(
            batch_size=16,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
            dataset=dict(
                type='DigitsDataset',
                split='val',
                indices=50,
                pipeline=PIPELINE,
            ),
        ),
        'val_evaluator': evaluators.val_evaluator,
        'log_level': 'INFO',
    }


def test_a_gan_is_validated_while_it_trains(build_runner, gan_options, mm_log):
    best = {
        'default_hooks.checkpoint.save_best': 'FID',
        'default_hooks.checkpoint.rule': 'less',
    }
    runner = build_runner('gan', {**gan_options, **best})
    runner.train()
    log = next(Path(runner.work_dir).rglob('*.log')).read_text()
    lines = [x for x in log.splitlines() if 'Iter(val) [4/4]    FID' in x]
    assert len(lines) == 2
    for key in (
        *('FID', 'KID', 'IS', 'MS-SSIM', 'digits/share', 'digits/kinds'),
        *('SWD/avg', 'SWD/16'),
    ):
        assert f' {key}: ' in lines[0]
    best = list(Path(runner.work_dir).glob('best_FID_iter_*.pth'))
    assert len(best) == 1
    assert 'The prefix is not set' not in log


def test_each_validation_sees_the_same(build_runner, gan_options):
    """No image twice in it, and the same ones the next time."""
    runner = build_runner('gan', gan_options)
    runner.model.init_weights()
    loop = runner.val_loop
    seen = []
    metric = loop.evaluator.metrics[0]
    process = metric.process

    def keep(data_batch, data_samples):
        seen.extend(x['fake_img'] for x in data_samples)
        process(data_batch, data_samples)

    metric.process = keep
    first = loop.run()
    assert loop.run() == first
    images = torch.stack(seen).flatten(1)
    assert torch.equal(images[:50], images[50:])
    latent = {tuple(image.tolist()) for image in images[:50]}
    assert len(latent) > 40


def test_the_base_config_completes_a_gans(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(
        f"_base_ = '{CONFIGS}/dcgan/dcgan_digits-32x32.py'\n"
        'train_cfg = dict(max_iters=1, val_interval=1)\n'
        'train_dataloader = dict(batch_size=4)\n'
        'val_dataloader = dict(dataset=dict(indices=60))\n'
        'model = dict(generator=dict(base_channels=4))\n'
    )
    cfg = Config.fromfile(path)
    cfg.work_dir = str(tmp_path / 'run')
    cfg.log_level = 'WARNING'
    runner = Runner.from_cfg(cfg)
    runner.train()
    for name in ('FID', 'SWD/avg', 'MS-SSIM'):
        assert runner.message_hub.get_scalar(f'val/{name}').current() > 0
