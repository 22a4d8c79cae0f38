import time

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmamp.engine.hooks import RuntimeInfoHook
from mmamp.engine.hooks.runtime_info_hook import SHORTEST, _copies
from mmamp.logging.scalar_history import ScalarHistory


def with_hook(**options):
    return {
        'default_hooks.runtime_info': dict(type='mmamp.RuntimeInfoHook'),
        **options,
    }


def history(runner, key='train/loss_gen'):
    return runner.message_hub.log_scalars[key].data[0].tolist()


def test_says_what_mmengines_says(build_runner):
    key = 'default_hooks.runtime_info'
    stock = build_runner('gan', {key: dict(type='mmengine.RuntimeInfoHook')})
    stock.train()
    kinds = {type(x) for x in stock.message_hub.log_scalars.values()}
    assert kinds == {HistoryBuffer}
    expected = history(stock), history(stock, 'train/generator.lr')
    runner = build_runner('gan', with_hook())
    runner.train()
    assert expected == (history(runner), history(runner, 'train/generator.lr'))
    assert len(expected[0]) == 4
    kinds = {type(x) for x in runner.message_hub.log_scalars.values()}
    assert kinds == {ScalarHistory}


def test_no_step_waits_for_the_device(build_runner):
    """Nothing can be read of a tensor on the meta device."""
    runner = build_runner('classifier', with_hook())
    hook = next(h for h in runner.hooks if isinstance(h, RuntimeInfoHook))
    runner.message_hub.update_scalar('train/loss', 1.0)
    with pytest.raises(RuntimeError):
        torch.ones((), device='meta').item()
    for value in (torch.ones((), device='meta'), torch.ones(1, device='meta')):
        hook.after_train_iter(runner, 0, outputs=dict(loss=value))
    loss = runner.message_hub.log_scalars['train/loss']
    assert isinstance(loss, ScalarHistory)
    with pytest.raises(RuntimeError):
        loss.mean()


def test_losses_of_several_devices():
    values = dict(a=torch.ones(()), b=torch.ones((), device='meta'))
    values['c'] = torch.tensor(3)
    copies = _copies(values)
    assert copies['b'].device.type == 'meta'
    assert copies['c'].dtype is torch.int64
    assert sorted(copies) == ['a', 'b', 'c']


def test_a_value_that_the_model_changes_later_is_what_it_was():
    running = torch.tensor([1.0])
    copies = _copies(dict(a=running, b=torch.tensor(2.0)))
    running.fill_(5.0)
    assert {k: float(v) for k, v in copies.items()} == dict(a=1.0, b=2.0)


@pytest.mark.parametrize(
    ('window', 'length'),
    [
        ([], SHORTEST),
        ([dict(data_src='loss', method_name='mean', window_size=3000)], 3000),
        ([dict(data_src='loss', method_name='mean', window_size='epoch')], -1),
        (
            [dict(data_src='loss', method_name='min', window_size='global')],
            HistoryBuffer().max_length,
        ),
    ],
)
def test_as_long_as_the_log_needs(build_runner, window, length):
    options = with_hook(**{'log_processor.custom_cfg': window})
    if length < 0:  # 1797 batches of one
        length = 1797
        options['log_processor.by_epoch'] = True
        options['train_dataloader.batch_size'] = 1
    runner = build_runner('classifier', options)
    runner.train()
    assert {x.max_length for x in runner.message_hub.log_scalars.values()} == {
        length
    }


def test_history_of_a_checkpoint_is_taken_over(build_runner, tmp_path):
    runner = build_runner('classifier', with_hook())
    runner.message_hub.log_scalars['train/loss'] = HistoryBuffer(
        [2.0] * 5000, [1] * 5000
    )
    runner.train()
    assert history(runner, 'train/loss')[: SHORTEST - 4] == [2.0] * 996


def test_no_epoch_boundary_sleeps(build_runner, monkeypatch):
    """Three batches an epoch."""
    monkeypatch.setattr(time, 'sleep', lambda seconds: pytest.fail('slept'))
    runner = build_runner(
        'classifier',
        {
            'custom_hooks': [dict(type='StateHook')],
            'train_dataloader.sampler.type': 'DefaultSampler',
            'train_dataloader.batch_size': 600,
            'train_cfg.max_iters': 7,
        },
    )
    runner.train()
    assert runner.iter == 7


def test_optimizers_without_a_rate(build_runner):
    """As AliG, which has a largest one."""
    runner = build_runner('gan', with_hook())
    hook = next(h for h in runner.hooks if isinstance(h, RuntimeInfoHook))
    runner.train()
    for group in runner.optim_wrapper['generator'].optimizer.param_groups:
        del group['lr']
    scalars = runner.message_hub.log_scalars
    count = len(history(runner, 'train/discriminator.lr'))
    hook.before_train_iter(runner, 0)
    assert len(history(runner, 'train/discriminator.lr')) == count + 1
    assert runner.message_hub.get_info('iter') == runner.iter
    runner.optim_wrapper = runner.optim_wrapper['generator']
    hook.before_train_iter(runner, 0)
    assert 'train/lr' not in scalars


def test_rates_of_optimizers_that_are_one(build_runner):
    """Whatever has its own rate shows it; MMEngine tells the first's."""
    key = 'optim_wrapper.generator.'
    adam = dict(type='Adam', lr=1e-3)
    runner = build_runner(
        'gan',
        with_hook(
            **{
                f'{key}optimizer': dict(type='SGD', lr=0.1),
                f'{key}param_groups': [dict(dims=[1], optimizer=adam), {}],
            }
        ),
    )
    runner.train()
    assert set(history(runner, 'train/generator.Adam.lr')) == {1e-3}
    assert set(history(runner, 'train/generator.SGD.lr')) == {0.1}
    assert 'train/discriminator.Adam.lr' not in runner.message_hub.log_scalars
