import os
import re

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.config.data import seed_data
from mmamp.datasets import SeededDataset
from mmamp.errors import Preempted
from mmamp.registry import HOOKS

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


def test_a_validation_that_was_broken_off(build_runner):
    """What is loaded before training begins anew is not written over."""
    runner = build_runner(options=HOOK)
    (hook,) = [h for h in runner.hooks if type(h).__name__ == 'StateHook']
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=0.1),
        dtype='float32',
        accumulative_counts=4,
    )
    runner.optim_wrapper = wrapper
    with wrapper.optim_context(net):
        loss = net(torch.randn(8, 4)).mean()
    wrapper.update_params(loss)
    hook.before_val(runner)
    assert net[1].num_batches_tracked == 0
    net[1].running_mean.fill_(7)
    hook.before_train(runner)
    assert net[1].running_mean.tolist() == [7, 7, 7, 7]


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


def test_schedulers_that_hold_methods(build_runner, capfd):
    given = {
        **HOOK,
        'param_scheduler': dict(
            type='OneCycleLR', eta_max=0.1, total_steps=8, by_epoch=False
        ),
        'train_cfg.max_iters': 8,
    }
    whole = build_runner(options=given)
    whole.train()
    path = os.path.join(whole.work_dir, 'iter_2.pth')
    saved = torch.load(path, weights_only=True)['param_schedulers']
    assert saved[0]['last_step'] == 2
    text = ''.join(capfd.readouterr())
    assert "param_schedulers[0]['anneal_func'] is left out" in text
    rest = build_runner(options=dict(given, load_from=path, resume=True))
    rest.train()
    assert_same_weights(rest, whole)


def assert_same_weights(run, other):
    expected = other.model.state_dict()
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, expected[name]), name


@HOOKS.register_module(force=True)
class SaveAndStop(Hook):
    """Preempted after so many iterations; MMEngine's or mmamp's way."""

    priority = 'LOWEST'

    def __init__(self, iters):
        self.iters = iters

    def after_train_iter(self, runner, batch_idx, **_):
        if runner.iter + 1 == self.iters:
            (hook,) = [h for h in runner.hooks if hasattr(h, 'save_now')]
            raise Preempted(hook.save_now(runner))


EPOCH = 5


def epochs(seeded=True):
    def edit(cfg):
        cfg.train_cfg = dict(by_epoch=True, max_epochs=3)
        cfg.default_hooks.checkpoint = dict(
            type='CheckpointHook', interval=1, by_epoch=True
        )
        loader = cfg.train_dataloader
        loader.batch_size = 1797 // EPOCH
        loader.drop_last = True
        loader.sampler = dict(type='DefaultSampler', shuffle=True)
        if seeded:
            seed_data(cfg)

    return edit


def with_dropout(**options):
    return {
        'custom_hooks': [dict(type='StateHook')],
        'model.dropout': 0.5,
        **options,
    }


class TestEpochs:
    def run(self, build_runner, stop, capfd, seeded=True):
        options = with_dropout()
        whole = build_runner(options=options, edit=epochs(seeded))
        whole.train()
        stopping = with_dropout()
        stopping['custom_hooks'].append(dict(type='SaveAndStop', iters=stop))
        stopped = build_runner(options=stopping, edit=epochs(seeded))
        with pytest.raises(Preempted) as preempted:
            stopped.train()
        options.update(load_from=preempted.value.checkpoint, resume=True)
        resumed = build_runner(options=options, edit=epochs(seeded))
        resumed.train()
        return whole, resumed

    @pytest.mark.parametrize('stop', [2, EPOCH, EPOCH + 1, 2 * EPOCH])
    def test_goes_on_exactly(self, build_runner, stop, capfd):
        """In the middle of an epoch, and after its last iteration."""
        whole, resumed = self.run(build_runner, stop, capfd)
        assert resumed.iter == whole.iter == 3 * EPOCH
        assert resumed.epoch == 3
        assert_same_weights(resumed, whole)

    def test_between_epochs(self, build_runner):
        whole = build_runner(options=with_dropout(), edit=epochs())
        whole.train()
        path = os.path.join(whole.work_dir, 'epoch_1.pth')
        options = with_dropout(load_from=path, resume=True)
        resumed = build_runner(options=options, edit=epochs())
        resumed.train()
        assert_same_weights(resumed, whole)

    @pytest.mark.parametrize('flexible', [False, True])
    def test_after_a_validation(self, build_runner, flexible):
        """A best score has the last checkpoint written again."""

        def edit(cfg):
            epochs()(cfg)
            validated(cfg)
            cfg.default_hooks.checkpoint.update(
                save_best='distance', rule='less'
            )
            if flexible:
                make_flexible(cfg)

        def run(**more):
            runner = build_runner(options=with_dropout(**more), edit=edit)
            runner.train()
            return runner

        whole = run()
        for epoch in (1, 2):
            path = os.path.join(whole.work_dir, f'epoch_{epoch}.pth')
            resumed = run(load_from=path, resume=True)
            assert resumed.iter == 3 * EPOCH
            assert_same_weights(resumed, whole)

    def test_a_sampler_that_cannot_skip_is_told_of(self, build_runner, capfd):
        self.run(build_runner, 2, capfd, seeded=False)
        text = ''.join(capfd.readouterr())
        assert 'The run begins the epoch anew' in text


load = SeededDataset._load


def test_iterations_over_a_sampler_that_ends(build_runner, monkeypatch):
    """Beyond the end of its first epoch, and in the middle of a later one.

    Three batches an epoch; none is loaded that was taken already.
    """
    loaded = []
    monkeypatch.setattr(
        SeededDataset,
        '_load',
        lambda self, i, own: loaded.append(i) or load(self, i, own),
    )

    def edit(cfg):
        cfg.train_dataloader.batch_size = 600
        cfg.train_dataloader.sampler.type = 'DefaultSampler'
        seed_data(cfg)

    options = with_dropout(**{'train_cfg.max_iters': 10})
    whole = build_runner(options=options, edit=edit)
    whole.train()
    for start in (2, 4, 6):
        path = os.path.join(whole.work_dir, f'iter_{start}.pth')
        options.update(load_from=path, resume=True)
        resumed = build_runner(options=options, edit=edit)
        loaded.clear()
        resumed.train()
        assert_same_weights(resumed, whole)
        assert len(loaded) <= 600 * (10 - start)


def make_flexible(cfg):
    cfg.strategy = dict(type='SingleDeviceStrategy')
    cfg.env_cfg = dict()


def validated(cfg):
    cfg.val_dataloader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(type='DigitsDataset', pipeline=[dict(type='PackImage')]),
    )
    cfg.val_evaluator = dict(type='Falling')
    cfg.val_cfg = dict()


@pytest.mark.parametrize('flexible', [False, True])
def test_a_best_checkpoint_saves_the_last_one_again(build_runner, flexible):
    """While validation has moved the random numbers."""

    def evaluated(cfg):
        validated(cfg)
        if flexible:
            make_flexible(cfg)
        cfg.train_cfg.val_interval = 2
        seed_data(cfg)

    options = with_dropout(**{'train_cfg.max_iters': 8})
    options['default_hooks.checkpoint'] = dict(
        type='CheckpointHook',
        interval=2,
        by_epoch=False,
        save_best='distance',
        rule='less',
    )

    def run(**more):
        runner = build_runner(options={**options, **more}, edit=evaluated)
        runner.train()
        return runner

    whole = run()
    path = os.path.join(whole.work_dir, 'iter_4.pth')
    assert_same_weights(run(load_from=path, resume=True), whole)


def test_a_checkpoint_of_another_model_is_refused(build_runner):
    first = build_runner(options=HOOK)
    first.train()
    path = os.path.join(first.work_dir, 'iter_2.pth')
    second = build_runner('gan', dict(HOOK, load_from=path, resume=True))
    with pytest.raises(ValueError, match=r'iter_2.pth is of another model: '):
        second.train()


class TestCheckpointOfAnother:
    """Refused before anything is loaded, or told of."""

    @pytest.fixture
    def start(self, build_runner):
        """A checkpoint, and ``begin(resume, edit, options)`` of a run."""

        def start(kind='gan', saved_by=None, **options):
            first = build_runner(kind, {**HOOK, **options}, edit=saved_by)
            first.train()
            path = os.path.join(first.work_dir, 'iter_2.pth')

            def begin(edit, resume=True, **more):
                given = dict(HOOK, load_from=path, resume=resume)
                return build_runner(kind, {**given, **more}, edit=edit)

            return begin

        return start

    @pytest.mark.parametrize('flexible', [False, True])
    @pytest.mark.parametrize('width', [1, 4])
    def test_shapes(self, start, flexible, width):
        def edit(cfg):
            cfg.model.generator.base_channels = width
            if flexible:
                make_flexible(cfg)

        runner = start()(edit)
        with pytest.raises(ValueError, match='of another model: ') as refusal:
            runner.train()
        assert runner.iter == 0
        text = str(refusal.value)
        assert 'parameters have other shapes, such as generator.' in text
        assert re.search(
            r'weight \(\([\d, ]+\) in the checkpoint, \([\d, ]+\)', text
        )
        assert 'load_from=' in text

    @pytest.mark.parametrize('flexible', [False, True])
    def test_weights_alone_are_told_of(self, start, capfd, flexible):
        def edit(cfg):
            cfg.model.generator.base_channels = 8
            if flexible:
                make_flexible(cfg)

        start()(edit, resume=False).train()
        text = ''.join(capfd.readouterr())
        lines = [x for x in text.splitlines() if ' stay as initial' in x]
        assert len(lines) == 1
        assert re.search(r'load_from: \d+ of \d+ weights', lines[0])
        assert 'generator.' in lines[0]

    @pytest.mark.parametrize('flexible', [False, True])
    def test_weights_of_which_none_fits(self, start, tmp_path, flexible):
        def edit(cfg):
            if flexible:
                make_flexible(cfg)

        path = tmp_path / 'foreign.pth'
        state = {'backbone.conv.weight': torch.zeros(3), 'step': torch.ones(1)}
        torch.save(dict(state_dict=state), path)
        runner = start()(edit, resume=False, load_from=str(path))
        with pytest.raises(ValueError, match='is of another model') as error:
            runner.train()
        assert runner.iter == 0
        text = str(error.value)
        assert re.search(r'none of the \d+ weights is in it', text)
        assert str(path) in text
        assert 'backbone.conv.weight, step' in text
        assert 'generator.' in text

    def test_all_weights_are_not_told_of(self, start, capfd):
        start()(lambda cfg: None, resume=False).train()
        assert 'stay as initial' not in ''.join(capfd.readouterr())

    @pytest.mark.parametrize(
        ('saved', 'optimizer', 'missing'),
        [
            ('Adam', dict(type='SGD', lr=0.1, momentum=0.9), 'momentum'),
            ('Adam', dict(type='Adamax', lr=0.1), 'exp_inf'),
            ('Adam', dict(type='RMSprop', lr=0.1), 'alpha'),
            ('SGD', dict(type='Adam', lr=0.1), 'betas'),
        ],
    )
    def test_optimizers(self, start, saved, optimizer, missing):
        def saved_by(cfg):
            cfg.optim_wrapper.generator.optimizer = dict(type=saved, lr=0.01)

        def edit(cfg):
            cfg.optim_wrapper.generator.optimizer = optimizer

        runner = start(saved_by=saved_by)(edit)
        with pytest.raises(ValueError, match='of another optimizer') as error:
            runner.train()
        text = str(error.value)
        assert (
            f'generator has {optimizer["type"]}, and was saved by {saved}, '
            f'whose state has no '
        ) in text
        assert missing in text
        assert 'load_from=' in text

    def test_optimizers_that_go_on_from_each_other(self, start):
        def saved_by(cfg):
            cfg.optim_wrapper.generator.optimizer = dict(type='Adam', lr=0.01)

        def edit(cfg):
            cfg.optim_wrapper.generator.optimizer = dict(
                type='AdamW', lr=0.01, amsgrad=True
            )

        runner = start(saved_by=saved_by)(edit)
        runner.train()
        assert runner.iter == 4

    def test_a_single_optimizer(self, start):
        def edit(cfg):
            cfg.optim_wrapper.optimizer = dict(
                type='SGD', lr=0.01, momentum=0.9
            )

        runner = start('classifier')(edit)
        match = r'optim_wrapper has SGD, and was saved by Adam'
        with pytest.raises(ValueError, match=match):
            runner.train()


def test_a_foreign_runner_without_default_hooks(build_runner):
    """The interval is the logger hook's, wherever that comes from."""

    def edit(cfg):
        cfg.default_hooks = None
        cfg.custom_hooks.append(dict(type='AmpMonitorHook'))
        cfg.custom_hooks.append(dict(type='OverflowHook'))

    runner = build_runner(
        options=dict(custom_hooks=[dict(type='StateHook')]), edit=edit
    )
    runner.train()
    assert runner.iter == 4
