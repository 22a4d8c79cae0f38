import os
import re
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import OPTIMIZERS
from schedule_free import ScheduleFreeSGD
from torch import distributed, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from mmamp import AmpOptimWrapper
from mmamp.checkpoint import atomic
from mmamp.checkpoint.atomic import AtomicLocalBackend
from mmamp.engine.hooks import CheckpointHook
from mmamp.engine.hooks.states_of_ranks import gather_states, give_states
from mmamp.errors import UsageError
from mmamp.registry import METRICS


@pytest.fixture(params=[False, True], ids=['at once', 'beside training'])
def options(request):
    """Of a checkpoint hook: ``options(max_keep_ckpts=1)``."""
    args = dict(type='CheckpointHook', interval=1, by_epoch=False)
    if request.param:
        args['async_save'] = True
    return lambda **hook: {'default_hooks.checkpoint': {**args, **hook}}


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
    options, build_runner, interrupted_write
):
    runner = build_runner(options=options(max_keep_ckpts=1))
    with pytest.raises(Interrupt):
        runner.train()
    assert checkpoints(runner) == ['iter_2.pth']
    assert last_named(runner) == os.path.join(runner.work_dir, 'iter_2.pth')


def test_a_key_that_there_is_not_is_told_before_training(
    options, build_runner
):
    """MMEngine would tell at the first checkpoint, and lose it."""
    runner = build_runner(options=options(max_keep_ckpt=1))
    with pytest.raises(
        UsageError, match="no argument 'max_keep_ckpt'; it tak"
    ):
        runner.train()
    assert runner.iter == 0


def test_a_key_that_a_runner_takes(options, build_runner, monkeypatch):
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


def test_a_runner_that_saves_by_itself_is_waited_for(build_runner, capsys):
    """Nobody else knows what is to be copied."""
    hook = dict(type='CheckpointHook', async_save=True)
    runner = build_runner(options={'default_hooks.checkpoint': hook})
    original = runner.save_checkpoint
    runner.save_checkpoint = lambda *args, **kwargs: original(*args, **kwargs)
    runner.train()
    said = capsys.readouterr().out
    assert 'async_save=True: training waits for its checkpoints' in said
    assert 'since Runner writes them in a way of its own' in said


def test_yes_and_no_are_all_there_is():
    with pytest.raises(ValueError, match="must be True or False, but got 'n"):
        CheckpointHook(async_save='no')


def test_the_name_of_the_last_is_written_atomically(
    options, build_runner, monkeypatch
):
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


def test_a_flexible_runner_too(
    options, build_runner, interrupted_write, monkeypatch
):
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
def test_keeps_as_many_as_it_shall(options, build_runner, keep):
    runner = build_runner(options=options(max_keep_ckpts=keep))
    runner.train()
    expected = [f'iter_{i}.pth' for i in range(5 - keep, 5)]
    assert checkpoints(runner) == expected
    assert [x for x in os.listdir(runner.work_dir) if x.endswith('.tmp')] == []


def test_a_kill_before_the_old_one_is_removed(
    options, build_runner, monkeypatch
):
    given = options(max_keep_ckpts=1)
    given['custom_hooks'] = [dict(type='StateHook')]
    given['train_cfg.max_iters'] = 2
    first = build_runner(options=given)

    def killed(*args):
        raise Interrupt

    with monkeypatch.context() as patch:
        patch.setattr(AtomicLocalBackend, 'remove', killed)
        with pytest.raises(Interrupt):
            first.train()
    assert checkpoints(first) == ['iter_1.pth', 'iter_2.pth']
    given.update({'train_cfg.max_iters': 3, 'resume': True})
    second = build_runner(options=given, work_dir=first.work_dir)
    second.train()
    assert checkpoints(second) == ['iter_3.pth']


def test_random_number_states_are_in_it(options, build_runner):
    runner = build_runner(options=options())
    runner.train()
    path = os.path.join(runner.work_dir, 'iter_4.pth')
    checkpoint = torch.load(path, weights_only=False)
    (state,) = checkpoint['rng_states']
    assert torch.equal(state['torch'], torch.get_rng_state())


def test_leftovers_of_a_killed_run_are_removed(
    options, build_runner, tmp_path
):
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    (work_dir / '.iter_9.pth.0123abcd.mmamp.tmp').touch()
    build_runner(options=options(), work_dir=work_dir).train()
    assert not (work_dir / '.iter_9.pth.0123abcd.mmamp.tmp').exists()


@pytest.mark.parametrize('by_epoch', [False, True])
def test_save_now(options, build_runner, by_epoch):
    runner = build_runner(options=options(interval=100, by_epoch=by_epoch))
    runner.train()
    runner.train_loop._iter = 6
    path = hook_of(runner).save_now(runner)
    assert os.path.basename(path) == 'iter_7.pth'
    assert torch.load(path, weights_only=False)['meta']['iter'] == 7
    assert hook_of(runner).by_epoch is by_epoch


def test_save_now_leaves_nothing_behind(options, build_runner):
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


def evaluated(metric, interval):
    """Have a config validate on its training data."""

    def edit(cfg):
        cfg.val_dataloader = dict(
            cfg.train_dataloader,
            sampler=dict(type='DefaultSampler', shuffle=False),
        )
        cfg.val_evaluator = dict(type=metric)
        cfg.val_cfg = dict()
        cfg.train_cfg.val_interval = interval

    return edit


def test_the_best_one_too(options, build_runner):
    given = options(interval=2, save_best='distance', rule='less')
    runner = build_runner('gan', given, edit=evaluated('Falling', 2))
    runner.model.val_step = lambda data: [0]
    runner.train()
    best = [x for x in checkpoints(runner) if x.startswith('best')]
    assert best == ['best_distance_iter_4.pth']


class Rising(BaseMetric):
    """A worse score each time, by one of its two measures."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        self.count += 1
        return dict(up=self.count, down=-self.count, worse=self.count)


@pytest.mark.parametrize('several', [False, True])
def test_the_best_before_goes_last(
    options, build_runner, monkeypatch, several, mm_log
):
    """It is there until the last checkpoint names its successor."""

    METRICS.register_module('TwoMeasures', module=Rising, force=True)
    save_best = ['up', 'worse'] if several else 'auto'
    rule = ['greater', 'less'] if several else 'greater'
    given = options(
        interval=1, max_keep_ckpts=1, save_best=save_best, rule=rule
    )
    given['custom_hooks'] = [dict(type='StateHook')]
    runner = build_runner('gan', given, edit=evaluated('TwoMeasures', 1))
    runner.model.val_step = lambda data: [0]
    events = []
    original = AtomicLocalBackend.remove
    monkeypatch.setattr(
        AtomicLocalBackend,
        'remove',
        lambda self, path: (
            events.append(os.path.basename(path)),
            original(self, path),
        ),
    )
    save = torch.save
    monkeypatch.setattr(
        torch,
        'save',
        lambda obj, file, *args: (
            events.append(os.path.basename(file.name).split('.')[1]),
            save(obj, file, *args),
        ),
    )
    runner.train()
    last = ['iter_4.pth']
    worse = ['best_worse_iter_1.pth'] if several else []
    assert checkpoints(runner) == ['best_up_iter_4.pth', *worse, *last]
    assert events[-4:] == ['iter_3.pth'] + [
        'best_up_iter_4',
        'iter_4',
        'best_up_iter_3.pth',
    ]
    path = os.path.join(runner.work_dir, 'iter_4.pth')
    info = torch.load(path, weights_only=True)['message_hub']['runtime_info']
    key = 'best_ckpt_up' if several else 'best_ckpt'
    assert info[key].endswith('best_up_iter_4.pth')
    # MMEngine's hook goes on with it.
    assert info['best_score' + ('_up' if several else '')] == 4


def test_a_validation_alone_saves_nothing(options, build_runner):
    given = options(save_best='distance', rule='less')
    runner = build_runner('gan', given, edit=evaluated('Falling', 1))
    runner.model.val_step = lambda data: [0]
    runner.val()
    assert checkpoints(runner) == []


def test_a_run_is_trained_once_more(options, build_runner, tmp_path):
    """By the same hook, in the same folder."""
    out = tmp_path / 'out'
    runner = build_runner(options=options(out_dir=str(out)))
    runner.train()
    runner.train_loop._max_iters = 6
    runner.train()
    (folder,) = out.iterdir()
    assert sorted(os.listdir(folder))[-1] == 'iter_6.pth'


@pytest.mark.parametrize('kind', ['classifier', 'gan'])
def test_it_holds_what_mmengine_would_write(options, build_runner, kind):
    """Key by key, and tensor by tensor."""
    given = {
        **options(interval=4),
        'custom_hooks': [dict(type='StateHook')],
    }

    def edit(cfg):
        sides = list(cfg.optim_wrapper) if kind == 'gan' else []
        schedule = [dict(type='LinearLR', by_epoch=False)]
        cfg.param_scheduler = {
            side: schedule for side in sides if side != 'constructor'
        } or schedule

    runner = build_runner(kind, given, edit=edit)
    runner.train()
    ours = torch.load(
        os.path.join(runner.work_dir, 'iter_4.pth'), weights_only=True
    )
    runner.train_loop._iter = 3
    runner.save_checkpoint(runner.work_dir, 'theirs.pth', by_epoch=False)
    theirs = torch.load(
        os.path.join(runner.work_dir, 'theirs.pth'), weights_only=True
    )
    for checkpoint in (ours, theirs):
        del checkpoint['meta']['time']
    assert ours.keys() - theirs.keys() == set()
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'meta'):
        (mine, shape), (other, expected) = map(
            tree_flatten, (ours[key], theirs[key])
        )
        assert shape == expected
        for a, b in zip(mine, other, strict=True):
            assert torch.equal(a, b) if torch.is_tensor(a) else a == b


def test_what_is_written_beside_training_is_the_same(build_runner):
    """Of an optimizer with other weights for evaluation, within a window."""
    OPTIMIZERS.register_module(module=ScheduleFreeSGD, force=True)
    saved = []
    for is_async in (False, True):
        given = {
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.checkpoint.async_save': is_async,
            'optim_wrapper.optimizer.type': 'ScheduleFreeSGD',
            'optim_wrapper.accumulative_counts': 3,
            'custom_hooks': [dict(type='EMAHook'), dict(type='StateHook')],
        }
        runner = build_runner(options=given)
        runner.train()
        saved.append(
            [
                torch.load(os.path.join(runner.work_dir, x), weights_only=True)
                for x in checkpoints(runner)
            ]
        )
    assert len(saved[0]) == 4
    for content in (*saved[0], *saved[1]):
        for key in ('meta', 'message_hub'):  # times, and paths
            del content[key]
    mine, other = map(tree_flatten, saved)
    assert mine[1] == other[1]
    for a, b in zip(mine[0], other[0], strict=True):
        assert torch.equal(a, b) if torch.is_tensor(a) else a == b


class Clones(TorchDispatchMode):
    """Counts the copies that are made of whole gradients."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        copies = (torch.ops.aten.clone, torch.ops.aten._to_copy)
        if func.overloadpacket in copies and result.shape == (512, 512):
            self.count += 1
        return result


def inside_of_a_window():
    """A runner whose only gradients take 1 MiB."""
    torch.manual_seed(0)
    net = nn.Linear(512, 512, bias=False)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=0.1),
        dtype='float32',
        accumulative_counts=2,
    )
    wrapper.initialize_count_status(net, 0, 10)
    with wrapper.optim_context(net):
        loss = net(torch.ones(1, 512)).sum()
    wrapper.update_params(loss)
    return SimpleNamespace(optim_wrapper=wrapper, model=net, hooks=[])


def sent_bytes():
    """What this process has written, to sockets too."""
    said = Path('/proc/self/io').read_text()
    return int(re.search(r'wchar: (\d+)', said)[1])


def gathered(rank, world_size):
    """States that a rank holds, MiB that it sent, copies that it made."""
    runner = inside_of_a_window()
    distributed.barrier()
    before = sent_bytes()
    with Clones() as clones:
        states = gather_states(runner, None)
        runner.optim_wrapper.state_dict()
    distributed.barrier()
    sent = (sent_bytes() - before) / 2**20
    return len(states.get('optimizer_by_rank', [])), sent, clones.count


def test_one_rank_alone_gets_what_all_have(in_ranks):
    """It is the one that writes, and nobody sends it more than once."""
    first, *others = in_ranks(3, gathered)
    assert [first[0], *(held for held, *_ in others)] == [3, 0, 0]
    # No rank gets anything of the first one's, which is sent to none, nor of
    # the others', which the first one gets.
    assert first[1] < 0.1
    assert all(1 < sent < 1.1 for _, sent, _ in others)
    assert [first[2], *(clones for *_, clones in others)] == [0, 0, 0]


def test_gradients_are_written_once(in_ranks):
    """Those of the rank that writes are in its optimizer's state, too."""
    (written, _) = in_ranks(2, written_by_ranks)
    assert 2 < written < 2.1


def written_by_ranks(rank, world_size):
    """MiB of what two ranks save of a window of 1 MiB each."""
    runner = inside_of_a_window()
    content = gather_states(runner, None)
    content['optimizer'] = runner.optim_wrapper.state_dict()
    with BytesIO() as file:
        torch.save(content, file)
        return file.tell() / 2**20


class DrawsByRank(torch.optim.SGD):
    """Has a generator of its own, which each rank seeds otherwise."""

    def __init__(self, params, lr):
        super().__init__(params, lr)
        self.generator = torch.Generator().manual_seed(distributed.get_rank())

    def step(self, closure=None):
        self.drawn = torch.rand(1, generator=self.generator)


def trained_by_ranks(kind):
    """A run of one update, on this rank, and its checkpoint."""
    net = nn.Linear(1, 1)
    wrapper = AmpOptimWrapper(kind(net.parameters(), lr=0.1), dtype='float32')
    runner = SimpleNamespace(optim_wrapper=wrapper, model=net, hooks=[])
    wrapper.update_params(net(torch.ones(1, 1)).sum())
    content = [
        dict(gather_states(runner, None), optimizer=wrapper.state_dict())
    ]
    distributed.broadcast_object_list(content)
    return runner, content[0]


def go_on(runner, checkpoint):
    """Resume; the optimizer."""
    give_states(runner, checkpoint)
    runner.optim_wrapper.load_state_dict(checkpoint['optimizer'])
    return runner.optim_wrapper.optimizer


def drawn_by_ranks(rank, world_size):
    """What is drawn next, with the run and after a checkpoint of it."""
    runner, checkpoint = trained_by_ranks(DrawsByRank)
    optimizer = runner.optim_wrapper.optimizer
    optimizer.step()
    expected = optimizer.drawn.clone()
    go_on(runner, checkpoint).step()
    return expected, optimizer.drawn


def test_attributes_of_an_optimizer_are_those_of_the_rank(in_ranks):
    (one, again), (other, its_again) = in_ranks(2, drawn_by_ranks)
    assert one != other
    assert one == again
    assert other == its_again


class CountsOnOneRank(torch.optim.SGD):
    rejected = 0

    def step(self, closure=None):
        if not distributed.get_rank():
            self.rejected += 1


def counted_by_ranks(rank, world_size):
    return go_on(*trained_by_ranks(CountsOnOneRank)).rejected


def test_a_rank_whose_attributes_have_not_changed_keeps_them(in_ranks):
    assert in_ranks(2, counted_by_ranks) == [1, 0]


def test_a_view_of_more_is_sent_alone():
    """As DDP has gradients, which are parts of its buckets."""
    runner = inside_of_a_window()
    (param,) = runner.model.parameters()
    bucket = torch.zeros(4, 512, 512)
    bucket[1] = param.grad
    param.grad = bucket[1]
    (grad,) = runner.optim_wrapper.window_state()['grads']
    assert torch.equal(grad, param.grad)
    assert grad.untyped_storage().nbytes() == 2**20


def test_keys_as_they_were_called_before():
    class Model(nn.Module):
        def load_rank_state(self, states):
            self.taken = states

    net = nn.Linear(1, 1)
    wrapper = AmpOptimWrapper(torch.optim.SGD(net.parameters(), lr=0.1))
    runner = SimpleNamespace(model=Model(), optim_wrapper=wrapper)
    checkpoint = dict(
        model_states=['mine'],
        rank_states=[{'': dict(window=dict(grads='mine'))}],
        optimizer=dict(window=dict(grads='of the first rank', first=0)),
    )
    give_states(runner, checkpoint)
    assert runner.model.taken == ['mine']
    window = dict(grads='mine', first=0)
    assert checkpoint == dict(optimizer=dict(window=window))


@pytest.mark.parametrize('keeps', [True, False])
def test_schedules_of_a_resumed_run(build_runner, tmp_path, keeps):
    """They go on, or it is said that they do not."""
    options = {
        'train_cfg.max_iters': 4,
        'log_level': 'INFO',
        'custom_hooks': [dict(type='StateHook')],
        'param_scheduler': [
            dict(type='LinearLR', start_factor=0.1, end=4, by_epoch=False)
        ],
        'default_hooks.checkpoint': dict(
            type='mmamp.CheckpointHook', interval=2, by_epoch=False
        ),
    }
    if not keeps:
        options['default_hooks.checkpoint']['save_param_scheduler'] = False
    whole = build_runner('classifier', options, work_dir=tmp_path / 'whole')
    whole.train()
    (log,) = (tmp_path / 'whole').glob('*/*.log')
    said = log.read_text()
    assert ('save_param_scheduler=False: in a run' in said) != keeps
    options['resume'] = True
    options['load_from'] = str(tmp_path / 'whole/iter_2.pth')
    resumed = build_runner('classifier', options, work_dir=tmp_path / 'other')
    resumed.train()
    same = resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()
    assert same == keeps
    (log,) = (tmp_path / 'other').glob('*/*.log')
    said = log.read_text()
    assert ('has no state of the learning rate schedules' in said) != keeps
