import glob
import json
import os
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from mmamp.engine.hooks import AmpMonitorHook

BACKENDS = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]


def options(**hook):
    return {
        'custom_hooks': [dict(type='AmpMonitorHook', **hook)],
        'visualizer.vis_backends': BACKENDS,
    }


def scalars(runner):
    (path,) = glob.glob(os.path.join(runner.log_dir, 'vis_data/scalars.json'))
    with open(path) as file:
        return [json.loads(line) for line in file]


def test_each_wrapper_reports_to_every_backend(build_runner):
    runner = build_runner('gan', options())
    runner.train()
    lines = scalars(runner)
    assert [x['step'] for x in lines] == [2, 4]
    names = {
        f'{net}.{name}'
        for net in ('generator', 'discriminator')
        for name in ('loss_scale', 'skipped_steps', 'grad_norm')
    }
    for line in lines:
        assert names <= set(line)
        assert line['generator.loss_scale'] == 1024
        assert line['discriminator.grad_norm'] > 0
    events = EventAccumulator(os.path.join(runner.log_dir, 'vis_data'))
    events.Reload()
    assert names <= set(events.Tags()['scalars'])


@pytest.mark.slow
def test_wandb_gets_them_too(build_runner, monkeypatch):
    """Offline: what would be sent is in a file."""
    monkeypatch.setenv('WANDB_MODE', 'offline')
    given = options()
    given['visualizer.vis_backends'] = [dict(type='WandbVisBackend')]
    runner = build_runner('gan', given)
    runner.train()
    runner.visualizer.close()
    (path,) = Path(runner.log_dir).rglob('*.wandb')
    names = [
        f'{network}.{name}'.encode()
        for network in ('generator', 'discriminator')
        for name in ('loss_scale', 'skip_rate', 'grad_norm')
    ]
    # It writes in a process of its own, and may go on for a moment.
    end = time.monotonic() + 60
    while missing := [x for x in names if x not in path.read_bytes()]:
        assert time.monotonic() < end, missing
        time.sleep(0.2)


def test_skips_and_the_scale_they_halve(build_runner):
    runner = build_runner(options={'model.bad_iters': (1,), **options()})
    runner.train()
    first, last = scalars(runner)
    assert first['skipped_steps'] == 1
    # Of the two updates since the last report; then of the next two.
    assert first['skip_rate'] == 0.5
    assert last['skip_rate'] == 0
    assert first['loss_scale'] == 512
    # The last finite one is shown.
    assert 0 < first['grad_norm'] < float('inf')
    assert last['skipped_steps'] == 1


def test_the_present_scale_not_an_average(build_runner):
    """MMEngine averages the last ten of whatever is called a loss."""
    given = {'model.bad_iters': (0, 2), 'train_cfg.max_iters': 6, **options()}
    runner = build_runner(
        options={**given, 'default_hooks.logger.interval': 1}
    )
    runner.train()
    scales = [line['loss_scale'] for line in scalars(runner)]
    assert scales == [512, 512, 256, 256, 256, 256]


def test_says_what_the_precision_is(build_runner, capfd):
    given = {'log_level': 'INFO', **options()}
    given['optim_wrapper.discriminator.dtype'] = 'bfloat16'
    given['optim_wrapper.generator.loss_scale'] = 8
    build_runner('gan', given).train()
    text = ''.join(capfd.readouterr())
    assert 'generator: float16 on cpu, loss scale 8 (static)' in text
    assert 'discriminator: bfloat16 on cpu, no loss scale' in text


def test_figures_of_another_precision_are_forgotten(build_runner):
    first = build_runner(options=options())
    first.train()
    given = {
        **options(),
        'optim_wrapper': dict(
            _delete_=True, optimizer=dict(type='Adam', lr=0.1)
        ),
        'resume': True,
        'train_cfg.max_iters': 6,
    }
    given['custom_hooks'].append(dict(type='StateHook'))
    second = build_runner(options=given, work_dir=first.work_dir)
    second.train()
    assert not {'loss_scale', 'skipped_steps'} & set(scalars(second)[-1])


def test_its_own_interval_and_the_last_iteration(build_runner):
    runner = build_runner(
        options={
            'default_hooks.logger.interval': 1,
            **options(interval=3),
        }
    )
    runner.train()
    steps = [x['step'] for x in scalars(runner) if 'grad_norm' in x]
    assert steps == [3, 4]
    assert runner.message_hub.get_scalar('train/grad_norm').data[0].size == 1


def test_optimizers_in_float32_are_left_alone(build_runner):
    runner = build_runner(
        options={
            'optim_wrapper': dict(
                _delete_=True, optimizer=dict(type='SGD', lr=0.1)
            ),
            **options(),
        }
    )
    runner.train()
    assert 'skipped_steps' not in scalars(runner)[-1]


@pytest.mark.parametrize('interval', [0, -1, 1.5, 'x'])
def test_bad_interval(interval):
    with pytest.raises(ValueError, match=r'interval must be'):
        AmpMonitorHook(interval)
