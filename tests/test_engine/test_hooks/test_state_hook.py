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


def test_generators_go_on_where_they_were(build_runner):
    runner = build_runner(options=HOOK)
    runner.train()
    path = os.path.join(runner.work_dir, 'iter_2.pth')
    (state,) = torch.load(path, weights_only=True)['rng_states']
    resumed = build_runner(options=dict(HOOK, load_from=path, resume=True))
    seen = []

    @resumed.model.register_forward_pre_hook
    def look(module, args):
        seen.append(torch.get_rng_state())

    resumed.train()
    assert torch.equal(seen[0], state['torch'])


def test_a_checkpoint_without_generators_is_told_of(build_runner, capfd):
    runner = build_runner(options=HOOK)
    runner.train()
    path = os.path.join(runner.work_dir, 'iter_2.pth')
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint['rng_states']
    torch.save(checkpoint, path)
    build_runner(options=dict(HOOK, load_from=path, resume=True)).train()
    text = ''.join(capfd.readouterr())
    assert 'holds no random-number states of 1 processes (none)' in text


def test_weights_alone_do_not_bring_generators(build_runner):
    runner = build_runner(options=HOOK)
    runner.train()
    path = os.path.join(runner.work_dir, 'iter_2.pth')
    other = build_runner(options=dict(HOOK, load_from=path))
    other.load_or_resume()
    (hook,) = [h for h in other.hooks if type(h).__name__ == 'StateHook']
    assert hook._resumed_rng is None


def test_validation_does_not_move_the_generators(build_runner):
    runner = build_runner(options=HOOK)
    (hook,) = [h for h in runner.hooks if type(h).__name__ == 'StateHook']
    before = torch.get_rng_state()
    hook.before_val(runner)
    torch.rand(3)
    hook.after_val(runner)
    assert torch.equal(torch.get_rng_state(), before)


def test_mmengines_wrapper_inside_of_a_window_is_told_of(build_runner, capfd):
    def stock(cfg):
        cfg.optim_wrapper = dict(
            type='mmengine.OptimWrapper',
            accumulative_counts=3,
            optimizer=dict(type='SGD', lr=0.1),
        )

    build_runner(options=HOOK, edit=stock).train()
    text = ''.join(capfd.readouterr())
    assert text.count('inside of a window of 3 micro-batches') == 1
    assert "type='mmamp.AmpOptimWrapper'" in text
