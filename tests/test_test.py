"""Of ``mmamp.test``, the command."""

import json
import re
from pathlib import Path

import pytest
import torch

from mmamp.test import main

CONFIG = """
_base_ = 'train.py'
val_dataloader = dict(
    batch_size=5, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='DigitsDataset', indices=12,
        pipeline=[
            dict(type='Resize', scale=(8, 8)), dict(type='PackImage')]))
val_cfg = dict()
val_evaluator = dict(type='Brightness')
custom_imports = dict(imports=['brightness'])
experiment_name = None
log_level = 'INFO'
"""
METRIC = """
from mmengine.evaluator import BaseMetric
from mmengine.registry import LOOPS, METRICS
from mmengine.runner import TestLoop

@LOOPS.register_module(force=True)
class SilentLoop(TestLoop):
    def run(self):
        super().run()

@METRICS.register_module(force=True)
class Brightness(BaseMetric):
    default_prefix = 'mean'
    def process(self, data_batch, data_samples):
        for sample in data_samples:
            self.results.append(sample['fake_img'].float().mean().item())
    def compute_metrics(self, results):
        return dict(value=sum(results) / len(results), num=float(len(results)))
"""


@pytest.fixture
def run(tmp_path, monkeypatch, build_runner):
    """A tiny GAN that was trained, and ``run(*arguments)`` to test it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    runner = build_runner('gan', {'model.ema_config': dict(momentum=0.9)})
    runner.train()
    runner.cfg.dump('train.py')
    Path('config.py').write_text(CONFIG + 'randomness = dict(seed=None)\n')
    Path('empty').mkdir()
    half = CONFIG + 'test_dataloader = val_dataloader\n'
    Path('half.py').write_text(half)
    Path('brightness.py').write_text(METRIC)
    Path('checkpoint.pth').write_bytes(
        Path(runner.work_dir, 'iter_4.pth').read_bytes()
    )

    def run_test(*args, config='config.py', checkpoint='checkpoint.pth'):
        code = main([config, checkpoint, '--work-dir', 'tested', *args])
        found = sorted(Path('tested').glob('2*/2*.json'))
        return code, json.loads(found[-1].read_text()) if found else None

    run_test.model = runner.model
    return run_test


def brightness(model):
    """Of what the average makes of the first twelve latents."""
    images = model.sample(12)
    return images.flatten(1).float().mean().item()


def test_the_metrics_are_those_of_the_average(run, capsys):
    code, metrics = run('--cfg-options', 'randomness.seed=0')
    assert code == 0
    assert metrics['mean/num'] == 12
    model = run.model.float()
    expected = brightness(model)
    assert metrics['mean/value'] == pytest.approx(expected, abs=0.01)
    out = capsys.readouterr().out
    assert 'checkpoint.pth' in out
    assert 'mean/value' in out.splitlines()[-3]


def test_what_the_run_itself_has_validated(run):
    """Its seed is another than that of a run that has none."""
    state = torch.load('checkpoint.pth', weights_only=False)
    images = []
    for seed in (0, 7):
        state['meta']['seed'] = seed
        torch.save(state, f'seed{seed}.pth')
        images.append(run(checkpoint=f'seed{seed}.pth')[1]['mean/value'])
    assert images[0] != images[1]
    _, metrics = run('--cfg-options', 'randomness.seed=7')
    assert metrics['mean/value'] == images[1]


def test_the_same_each_time(run):
    first, second = run()[1], run()[1]
    assert first['mean/value'] == second['mean/value']


def test_a_work_dir_stands_for_its_latest_checkpoint(run, capsys):
    folder = str(next(Path().glob('run*')))
    assert run(checkpoint=folder)[0] == 0
    assert 'iter_4.pth' in capsys.readouterr().out


def test_in_the_precision_of_training(run, capsys):
    assert run()[0] == 0
    assert 'Test runs in: float16 on cpu' in capsys.readouterr().out


def test_a_loop_that_returns_nothing(run, capsys):
    """As MMagic's MultiTestLoop does."""
    assert run('--cfg-options', 'val_cfg.type=SilentLoop')[0] == 0
    assert 'mean/value' in capsys.readouterr().out.splitlines()[-3]


def test_validation_data_in_place_of_test_data_are_told_of(run, capsys):
    run()
    assert 'the validation data are tested on' in capsys.readouterr().out


def test_amp(run, capsys):
    assert run('--amp', '--amp-dtype', 'bfloat16')[0] == 0
    assert 'Test runs in: bfloat16 on cpu' in capsys.readouterr().out


def test_the_config_that_was_trained_is_not_replaced(run):
    run()
    assert not Path('tested/config.py').exists()
    assert len(list(Path('tested').glob('2*.py'))) == 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(checkpoint='no.pth'), "'no.pth' does not exist"),
        (dict(checkpoint='empty'), "no checkpoint in 'empty'"),
        (dict(checkpoint='config.py'), "'config.py' cannot be read"),
        (dict(config='train.py'), "'train.py' has nothing to test on"),
        (dict(config='confg.py'), 'did you mean .*config.py'),
        (dict(config='half.py'), 'needs all of test_dataloader'),
    ],
)
def test_mistakes(run, arguments, message, capsys):
    code, _ = run(**arguments)
    assert code == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert re.search(message, error), error


def test_weights_of_another_model(run, capsys):
    code, metrics = run('--cfg-options', 'model.generator.base_channels=4')
    assert code == 2
    assert metrics is None
    assert 'do not fit' in capsys.readouterr().err


def test_weights_that_are_missing(run, capsys):
    state = torch.load('checkpoint.pth', weights_only=False)
    del state['state_dict']['generator_ema.steps']
    torch.save(state, 'less.pth')
    assert run(checkpoint='less.pth')[0] == 2
    assert '1 of' in capsys.readouterr().err


def test_a_bare_state_dict(run):
    state = torch.load('checkpoint.pth', weights_only=False)['state_dict']
    torch.save(state, 'bare.pth')
    assert run(checkpoint='bare.pth')[1]['mean/num'] == 12


def test_a_state_dict_that_is_none(run, capsys):
    torch.save(dict(state_dict=[1, 2]), 'list.pth')
    assert run(checkpoint='list.pth')[0] == 2
    assert 'do not fit' in capsys.readouterr().err


def test_code_in_a_checkpoint_is_refused(run, capsys):
    torch.save(dict(state_dict=run.model.generator), 'evil.pth')
    assert run(checkpoint='evil.pth')[0] == 2
    assert 'weights_only' in capsys.readouterr().err
