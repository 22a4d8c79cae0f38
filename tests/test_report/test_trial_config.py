"""Configs as trials run them."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmamp.config.amp import mixed_optimizers
from mmamp.report.trial_config import in_dtype, trial_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cfg():
    return Config.fromfile(ROOT / 'configs/dcgan/dcgan_digits-32x32.py')


def test_float32_of_a_config_that_is_half_in_float16(cfg):
    wrappers = cfg.optim_wrapper
    wrappers.generator.update(type='mmamp.AmpOptimWrapper', dtype='float16')
    wrappers.discriminator.type = 'OptimWrapper'
    assert mixed_optimizers(cfg) == ['optim_wrapper.generator']
    assert mixed_optimizers(in_dtype(cfg, 'float32')) == []


def test_a_trial_is_as_long_as_asked_for(cfg):
    def limits(iters):
        return trial_config(cfg, 'float32', 'w', [], iters).train_cfg

    cfg.train_cfg = dict(by_epoch=False, max_iters=30)
    assert limits(50).max_iters == 50
    assert limits(20).max_iters == 30
    cfg.train_cfg = dict(by_epoch=True, max_epochs=2)
    assert limits(50).max_epochs == 50


def test_hooks_are_those_of_training(cfg):
    cfg.custom_hooks = [dict(type='SampleHook', interval=5)]
    trial = trial_config(cfg, 'bfloat16', 'w', [], 50)
    names = [hook['type'] for hook in trial.custom_hooks]
    assert 'mmamp.AmpMonitorHook' in names
    assert not any('SampleHook' in x or 'OverflowHook' in x for x in names)
    hooks = trial.default_hooks
    assert hooks.runtime_info.type == 'mmamp.RuntimeInfoHook'
    assert hooks.checkpoint is None
