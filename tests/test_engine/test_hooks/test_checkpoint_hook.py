import os

import pytest
import torch
from mmengine.hooks import Hook

from mmamp.checkpoint import atomic
from mmamp.engine.hooks import CheckpointHook
from mmamp.errors import UsageError


def options(**hook):
    args = dict(type='CheckpointHook', interval=1, by_epoch=False)
    return {'default_hooks.checkpoint': {**args, **hook}}


def hook_of(runner):
    return next(h for h in runner.hooks if isinstance(h, CheckpointHook))


def checkpoints(runner):
    return sorted(x for x in os.listdir(runner.work_dir) if x.endswith('.pth'))


def last_named(runner):
    with open(os.path.join(runner.work_dir, 'last_checkpoint')) as file:
        return file.read()


class Interrupt(Exception):
    pass


@pytest.fixture
def interrupted_write(monkeypatch):
    """The third checkpoint's write fails half way."""
    calls = []
    original = torch.save

    def save(obj, file, *args, **kwargs):
        calls.append(file)
        original(obj, file, *args, **kwargs)
        if len(calls) == 3:
            raise Interrupt

    monkeypatch.setattr(torch, 'save', save)


def test_the_old_one_goes_when_the_new_one_is_there(
    build_runner, interrupted_write
):
    runner = build_runner(options=options(max_keep_ckpts=1))
    with pytest.raises(Interrupt):
        runner.train()
    assert checkpoints(runner) == ['iter_2.pth']
    assert last_named(runner) == os.path.join(runner.work_dir, 'iter_2.pth')


def test_a_key_that_there_is_not_is_told_before_training(build_runner):
    """MMEngine would tell at the first checkpoint, and lose it."""
    runner = build_runner(options=options(max_keep_ckpt=1))
    with pytest.raises(
        UsageError, match="no argument 'max_keep_ckpt'; it tak"
    ):
        runner.train()
    assert runner.iter == 0


def test_a_key_that_a_runner_takes(build_runner, monkeypatch):
    """Of a class of the user's, whose method has an argument more."""
    runner = build_runner(options=options(interval=4, note='mine'))
    notes = []
    original = runner.save_checkpoint

    def save(out_dir, filename, *args, note, **kwargs):
        notes.append(note)
        original(out_dir, filename, *args, **kwargs)

    runner.save_checkpoint = save
    runner.train()
    assert notes == ['mine']


def test_the_name_of_the_last_is_written_atomically(build_runner, monkeypatch):
    """MMEngine writes it too, but a kill could leave it empty."""
    written = []
    original = atomic.written_whole

    def note(path):
        written.append(path.name)
        return original(path)

    monkeypatch.setattr(atomic, 'written_whole', note)
    build_runner(options=options(interval=2)).train()
    assert written == ['iter_2.pth', 'last_checkpoint'] + [
        'iter_4.pth',
        'last_checkpoint',
    ]


def test_a_flexible_runner_too(build_runner, interrupted_write, monkeypatch):
    """Whose strategies write without a backend."""
    given = options(max_keep_ckpts=1)
    given['strategy'] = dict(type='SingleDeviceStrategy')
    given['launcher'] = 'none'
    given['env_cfg'] = dict()
    runner = build_runner(options=given)
    with pytest.raises(Interrupt):
        runner.train()
    assert checkpoints(runner) == ['iter_2.pth']
    assert last_named(runner) == os.path.join(runner.work_dir, 'iter_2.pth')
    assert not [x for x in os.listdir(runner.work_dir) if x[0] == '.']
    given['custom_hooks'] = [dict(type='StateHook')]
    monkeypatch.undo()
    again = build_runner(options=given, work_dir=runner.work_dir)
    again.train()
    assert checkpoints(again) == ['iter_4.pth']


@pytest.mark.parametrize('keep', [1, 2])
def test_keeps_as_many_as_it_shall(build_runner, keep):
    runner = build_runner(options=options(max_keep_ckpts=keep))
    runner.train()
    expected = [f'iter_{i}.pth' for i in range(5 - keep, 5)]
    assert checkpoints(runner) == expected
    assert [x for x in os.listdir(runner.work_dir) if x.endswith('.tmp')] == []


def test_random_number_states_are_in_it(build_runner):
    runner = build_runner(options=options())
    runner.train()
    path = os.path.join(runner.work_dir, 'iter_4.pth')
    checkpoint = torch.load(path, weights_only=False)
    (state,) = checkpoint['rng_states']
    assert torch.equal(state['torch'], torch.get_rng_state())


def test_leftovers_of_a_killed_run_are_removed(build_runner, tmp_path):
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    (work_dir / '.iter_9.pth.0123abcd.mmamp.tmp').touch()
    build_runner(options=options(), work_dir=work_dir).train()
    assert not (work_dir / '.iter_9.pth.0123abcd.mmamp.tmp').exists()


@pytest.mark.parametrize('by_epoch', [False, True])
def test_save_now(build_runner, by_epoch):
    runner = build_runner(options=options(interval=100, by_epoch=by_epoch))
    runner.train()
    runner.train_loop._iter = 6
    path = hook_of(runner).save_now(runner)
    assert os.path.basename(path) == 'iter_7.pth'
    assert torch.load(path, weights_only=False)['meta']['iter'] == 7
    assert hook_of(runner).by_epoch is by_epoch


def test_save_now_leaves_nothing_behind(build_runner):
    """A run by epochs that was preempted, and goes on."""

    def edit(cfg):
        cfg.train_cfg = dict(by_epoch=True, max_epochs=3)
        cfg.train_dataloader.batch_size = 600
        cfg.train_dataloader.sampler.type = 'DefaultSampler'

    given = options(by_epoch=True, max_keep_ckpts=1)
    given['custom_hooks'] = [dict(type='StateHook')]
    first = build_runner(options=given, edit=edit)
    saved = []

    class Stop(Hook):
        priority = 'LOWEST'

        def __init__(self, iters):
            self.iters = iters

        def after_train_iter(self, runner, batch_idx, **_):
            if runner.iter == self.iters:
                saved.append(hook_of(runner).save_now(runner))
                raise Interrupt

    def resumed():
        return build_runner(
            options={**given, 'load_from': saved[-1], 'resume': True},
            edit=edit,
            work_dir=first.work_dir,
        )

    for iters, runner in ((3, first), (4, None)):
        runner = runner or resumed()
        runner.register_hook(Stop(iters))
        with pytest.raises(Interrupt):
            runner.train()
        names = ['epoch_1.pth', f'iter_{iters + 1}.pth']
        assert checkpoints(first) == names
    second = resumed()
    second.train()
    assert checkpoints(second) == ['epoch_3.pth']


def test_the_best_one_too(build_runner):
    def evaluated(cfg):
        cfg.val_dataloader = dict(
            cfg.train_dataloader,
            sampler=dict(type='DefaultSampler', shuffle=False),
        )
        cfg.val_evaluator = dict(type='Falling')
        cfg.val_cfg = dict()
        cfg.train_cfg.val_interval = 2

    given = options(interval=2, save_best='distance', rule='less')
    runner = build_runner('gan', given, edit=evaluated)
    runner.model.val_step = lambda data: [0]
    runner.train()
    best = [x for x in checkpoints(runner) if x.startswith('best')]
    assert best == ['best_distance_iter_4.pth']
