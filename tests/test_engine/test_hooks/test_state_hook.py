import os

import torch
from mmengine.logging import HistoryBuffer

HOOK = dict(custom_hooks=[dict(type='StateHook')])


def test_message_hub_is_written_plain_and_read_back(build_runner):
    runner = build_runner(options=HOOK)
    runner.train()
    path = os.path.join(runner.work_dir, 'iter_2.pth')
    hub = torch.load(path, weights_only=True)['message_hub']
    assert all(type(x) is dict for x in hub['log_scalars'].values())

    again = build_runner(options=dict(HOOK, load_from=path, resume=True))
    again.train()
    history = again.message_hub.get_scalar('train/loss_cls')
    assert isinstance(history, HistoryBuffer)
    # Two iterations from the checkpoint, two of its own.
    assert len(history.data[0]) == 4


def test_saving_leaves_the_running_hub_alone(build_runner):
    runner = build_runner(options=HOOK)
    runner.train()
    history = runner.message_hub.get_scalar('train/loss_cls')
    assert isinstance(history, HistoryBuffer)
    assert len(history.data[0]) == 4


def test_what_could_not_be_loaded_again_is_left_out_and_named_once(
    build_runner, capfd
):
    runner = build_runner(options=HOOK)
    runner.message_hub.update_info('odd', object())
    runner.message_hub.update_info('even', [1, 2])
    runner.train()
    path = os.path.join(runner.work_dir, 'iter_4.pth')
    info = torch.load(path, weights_only=True)['message_hub']['runtime_info']
    assert 'odd' not in info
    assert info['even'] == [1, 2]
    log = capfd.readouterr()
    text = log.out + log.err
    assert text.count("message_hub['runtime_info']['odd'] is left out") == 1
    assert 'builtins.object' in text
