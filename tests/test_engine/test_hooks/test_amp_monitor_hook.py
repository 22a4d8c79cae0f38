import glob
import json
import os
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


def test_wandb_gets_them_too(build_runner, monkeypatch):
    """Offline: what would be sent is in a file."""
    monkeypatch.setenv('WANDB_MODE', 'offline')
    given = options()
    given['visualizer.vis_backends'] = [dict(type='WandbVisBackend')]
    runner = build_runner('gan', given)
    runner.train()
    (path,) = Path(runner.log_dir).rglob('*.wandb')
    sent = path.read_bytes()
    for network in (b'generator', b'discriminator'):
        for name in (b'loss_scale', b'skip_rate', b'grad_norm'):
            assert network + b'.' + name in sent


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


def test_its_own_interval_and_the_last_iteration(build_runner):
    runner = build_runner(
        options={
            'default_hooks.logger.interval': 1,
            **options(interval=3),
        }
    )
    runner.train()
    written = runner.message_hub.get_scalar('train/grad_norm')
    assert len(written.data[0]) == 2  # iterations 3 and 4


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
