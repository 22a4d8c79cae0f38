"""``CheckpointHook(save_format='dcp')`` on several ranks, in real runs."""

import math
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from differences import differences
from digits_loader import digits_loader
from has_fsdp2 import HAS_FSDP2, WHY
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import FlexibleRunner, Runner
from torch import nn

from mmamp import dcp_to_pth
from mmamp.checkpoint.safe_load import read_checkpoint
from mmamp.errors import UsageError

pytestmark = [
    pytest.mark.ranks,
    pytest.mark.skipif(not HAS_FSDP2, reason=WHY),
]


@MODELS.register_module(force=True)
class PartsGenerator(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 64), nn.BatchNorm1d(64))

    def forward(self, noise, labels=None):
        return super().forward(noise).view(-1, 1, 8, 8)


@MODELS.register_module(force=True)
class PartsDiscriminator(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 1))

    def forward(self, images, labels=None):
        return super().forward(images)[:, 0]


def wrapper(counts=1):
    return dict(
        type='mmamp.AmpOptimWrapper',
        dtype='float16',
        optimizer=dict(type='Adam', lr=1e-3),
        accumulative_counts=counts,
    )


def runner_of(
    work_dir,
    world_size,
    iters,
    strategy,
    save_format='dcp',
    sharding=(),
    **kwargs,
):
    hook = dict(
        type='CheckpointHook',
        interval=3,
        by_epoch=False,
        save_format=save_format,
        max_keep_ckpts=kwargs.pop('max_keep_ckpts', -1),
        **kwargs.pop('hook', {}),
    )
    cfg = dict(
        default_scope='mmamp',
        work_dir=str(work_dir),
        launcher='pytorch' if world_size > 1 else 'none',
        env_cfg=dict(),
        model=dict(
            type='mmamp.ImageGAN',
            noise_size=4,
            generator=dict(type='PartsGenerator', _scope_='mmengine'),
            discriminator=dict(type='PartsDiscriminator', _scope_='mmengine'),
            ema_config=dict(momentum=0.1),
        ),
        # Two micro-batches of a window of four have gone at a checkpoint.
        optim_wrapper=dict(
            constructor='mmamp.OptimWrapperConstructor',
            generator=wrapper(),
            discriminator=wrapper(counts=4),
        ),
        train_dataloader=digits_loader(8 // world_size),
        train_cfg=dict(by_epoch=False, max_iters=iters),
        custom_hooks=[dict(type='StateHook')],
        default_hooks=dict(checkpoint=hook),
        randomness=dict(seed=0),
        log_level='ERROR',
        **kwargs,
    )
    if strategy is None:
        cfg['model_wrapper_cfg'] = dict(
            type='mmamp.SeparateDistributedDataParallel'
        )
        return Runner.from_cfg(Config(cfg))
    cfg['strategy'] = dict(type=f'mmamp.{strategy}', **dict(sharding))
    return FlexibleRunner.from_cfg(Config(cfg))


def train(rank, world_size, work_dir, iters, strategy, options=None):
    kwargs = dict(options or {})
    resume = kwargs.pop('resume', None)
    runner = runner_of(work_dir, world_size, iters, strategy, **kwargs)
    if resume is not None:
        runner._load_from, runner._resume = str(resume), True
    runner.train()
    return sorted(x.name for x in Path(work_dir).glob('iter_*'))


PARTS = ('state_dict', 'optimizer', 'rng_states', 'data_position')


def apart(one, other):
    """Where two checkpoints differ, of what training goes on with."""
    one, other = read_checkpoint(str(one)), read_checkpoint(str(other))
    assert one.keys() == other.keys()
    assert one['meta']['iter'] == other['meta']['iter']
    keys = [key for key in PARTS if key in one]
    return [x for key in keys for x in differences(one[key], other[key], key)]


@pytest.mark.parametrize('strategy', ['FSDP2Strategy', None])
def test_it_holds_what_a_file_holds(in_ranks, tmp_path, strategy):
    """Inside of a window, too; and it goes on as a file does, exactly."""
    parts, file = tmp_path / 'parts', tmp_path / 'file'
    found, _ = in_ranks(2, train, parts, 6, strategy)
    assert found == ['iter_3.dcp', 'iter_6.dcp']
    in_ranks(2, train, file, 6, strategy, dict(save_format='pth'))
    for name in ('iter_3', 'iter_6'):
        assert apart(parts / f'{name}.dcp', file / f'{name}.pth') == []
    # The parts are in the folder of the one who has them.
    files = {x.name for x in (parts / 'iter_3.dcp').rglob('*.distcp')}
    assert files >= {'__0_0.distcp', '__1_0.distcp'}
    in_ranks(
        *(2, train, tmp_path / 'next', 6, strategy),
        dict(resume=parts / 'iter_3.dcp'),
    )
    ours = tmp_path / 'next/iter_6.dcp'
    assert apart(ours, parts / 'iter_6.dcp') == []


@pytest.mark.parametrize('ranks', [1, 4])
def test_another_number_of_ranks_goes_on(in_ranks, tmp_path, ranks):
    """As from the file that such a run would have saved."""
    run, as_file = tmp_path / 'run', tmp_path / 'as_file'
    in_ranks(2, train, run, 3, 'FSDP2Strategy')
    args = (as_file, 3, 'FSDP2Strategy', dict(save_format='pth'))
    in_ranks(2, train, *args)
    saved, file = run / 'iter_3.dcp', as_file / 'iter_3.pth'
    assert apart(dcp_to_pth.convert(str(saved), None, False), file) == []
    for name, path in (('parts', saved), ('file', file)):
        args = (tmp_path / name, 6, 'FSDP2Strategy', dict(resume=path))
        if ranks == 1:
            train(0, 1, *args)
        else:
            in_ranks(ranks, train, *args)
    ours, theirs = (tmp_path / x / 'iter_6.dcp' for x in ('parts', 'file'))
    assert apart(ours, theirs) == []


def numbers_read(rank, world_size, work_dir, path):
    """How many numbers a rank reads while it goes on, and how many it has."""
    from torch.distributed.checkpoint import FileSystemReader

    found = []
    read = FileSystemReader.read_data

    def reading(reader, plan, planner):
        found.append(sum(math.prod(x.lengths) for x in plan.items))
        return read(reader, plan, planner)

    FileSystemReader.read_data = reading
    runner = runner_of(work_dir, world_size, 4, 'FSDP2Strategy')
    runner._load_from, runner._resume = str(path), True
    runner.train()
    return sum(p.numel() for p in runner.model.parameters()), found[-1]


def test_a_rank_reads_its_parts_alone(in_ranks, tmp_path):
    """Half of what there is, moments and the window's gradients included."""
    in_ranks(2, train, tmp_path / 'run', 3, 'FSDP2Strategy')
    saved = tmp_path / 'run/iter_3.dcp'
    rng = sum(
        x.numel()
        for x in read_checkpoint(str(saved))['rng_states'][0].values()
        if isinstance(x, torch.Tensor)
    )
    for weights, numbers in in_ranks(2, numbers_read, tmp_path / 'n', saved):
        # The generator's average, two moments of both, and a gradient of the
        # discriminator's: at most four times the weights, of which it is half.
        assert weights < numbers - rng < 2.3 * weights


def test_those_that_are_too_many_go(in_ranks, tmp_path):
    found, _ = in_ranks(
        2, train, tmp_path, 9, 'FSDP2Strategy', dict(max_keep_ckpts=1)
    )
    assert found == ['iter_9.dcp']
    assert (tmp_path / 'last_checkpoint').read_text() == str(
        tmp_path / 'iter_9.dcp'
    )


def test_those_of_a_run_in_the_other_format_go_too(tmp_path):
    keep = dict(max_keep_ckpts=1)
    train(0, 1, tmp_path, 3, None, dict(save_format='pth', **keep))
    last = tmp_path / 'iter_3.pth'
    assert train(0, 1, tmp_path, 6, None, dict(resume=last, **keep)) == [
        'iter_6.dcp'
    ]
    last = tmp_path / 'iter_6.dcp'
    found = train(
        *(0, 1, tmp_path, 9, None),
        dict(resume=last, save_format='pth', **keep),
    )
    assert found == ['iter_9.pth']


def test_a_file_that_was_made_of_one_stays(tmp_path):
    keep = dict(max_keep_ckpts=1)
    train(0, 1, tmp_path, 3, None, keep)
    last = tmp_path / 'iter_3.dcp'
    dcp_to_pth.convert(str(last), None, False)
    found = train(0, 1, tmp_path, 6, None, dict(resume=last, **keep))
    assert found == ['iter_3.pth', 'iter_6.dcp']


def test_no_file_system_that_all_share(in_ranks, tmp_path):
    """Each rank has a work dir of its own; said by all, not waited for."""
    for said in in_ranks(2, saved_apart, tmp_path):
        assert 'rank 1 on ' in said
        assert 'a file system that all machines share' in said


def saved_apart(rank, world_size, work_dir):
    runner = runner_of(work_dir, world_size, 3, 'FSDP2Strategy')
    if rank == 1:
        os.makedirs(work_dir / 'elsewhere', exist_ok=True)
        is_dir = Path.is_dir
        Path.is_dir = lambda path: (
            is_dir(path) and not path.name.endswith('.dcp')
        )
    try:
        runner.train()
    except Exception as error:
        return str(error)
    return 'saved'


def fails_at_the_end(rank, world_size, work_dir, where):
    """The disk is full when an index is to be written, on the main rank."""
    from torch.distributed.checkpoint import FileSystemWriter

    from mmamp.checkpoint import parts

    def full(*args):
        raise OSError(28, 'No space left on device')

    setattr(
        *dict(dcp=(FileSystemWriter, 'finish'), own=(parts, '_index_of'))[
            where
        ],
        full,
    )
    runner = runner_of(work_dir, world_size, 3, 'FSDP2Strategy')
    try:
        runner.train()
    except Exception as error:
        return f'{type(error).__name__}: {error}'
    return 'saved'


@pytest.mark.parametrize('where', ['dcp', 'own'])
def test_what_the_main_rank_fails_in_all_are_told(in_ranks, tmp_path, where):
    for said in in_ranks(2, fails_at_the_end, tmp_path, where):
        assert 'StorageError' in said
        assert 'iter_3.dcp' in said
        assert 'could not be written' in said
    assert not (tmp_path / 'iter_3.dcp').exists()


def test_groups_that_shard_write_once(in_ranks, tmp_path):
    """The first group alone; two ranks that share all go on from it."""
    options = dict(sharding=dict(shard_size=2))
    in_ranks(4, train, tmp_path / 'run', 3, 'FSDP2Strategy', options)
    saved = tmp_path / 'run/iter_3.dcp'
    files = {x.name for x in saved.rglob('*.distcp')}
    assert '__1_0.distcp' in files
    plain = in_ranks(4, train, tmp_path / 'plain', 3, 'FSDP2Strategy')
    assert plain[0] == ['iter_3.dcp']
    ours, theirs = (
        read_checkpoint(str(x))['state_dict']
        for x in (saved, tmp_path / 'plain/iter_3.dcp')
    )
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value)
    options = dict(resume=saved)
    in_ranks(2, train, tmp_path / 'next', 6, 'FSDP2Strategy', options)


def from_ddp(rank, world_size, work_dir, path):
    """The gradients that a window goes on with, before they are dealt out."""
    runner = runner_of(work_dir, world_size, 4, 'FSDP2Strategy')
    runner._load_from, runner._resume = str(path), True
    strategy, found = runner.strategy, []
    load = strategy.load_optim_state_dict

    def loading(state):
        found.extend(state['discriminator']['window']['grads'])
        load(state)

    strategy.load_optim_state_dict = loading
    runner.train()
    return found


@pytest.mark.parametrize('save_format', ['pth', 'dcp'])
def test_a_window_of_ddp_goes_on_sharded(in_ranks, tmp_path, save_format):
    """With the mean of the ranks' gradients, of as many ranks too."""
    options = dict(save_format=save_format)
    in_ranks(2, train, tmp_path / 'ddp', 6, None, options)
    saved = tmp_path / f'ddp/iter_3.{save_format}'
    grads = [
        rank['discriminator']['window']['grads']
        for rank in torch.load(
            dcp_to_pth.convert(str(saved), str(tmp_path / 'x.pth'), False)
            if save_format == 'dcp'
            else saved,
            weights_only=True,
        )['optimizer_by_rank']
    ]
    assert not torch.equal(grads[0][0], grads[1][0])
    for found in in_ranks(2, from_ddp, tmp_path / 'fsdp2', saved):
        for x, one, other in zip(found, *grads, strict=True):
            torch.testing.assert_close(x, (one + other) / 2)


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        (dict(async_save=True), 'async_save=True writes files'),
        (dict(out_dir='s3://bucket'), "'s3://bucket' is no folder"),
    ],
)
def test_what_does_not_go_together(tmp_path, given, said):
    with pytest.raises(UsageError, match=said):
        train(0, 1, tmp_path, 3, None, dict(hook=given))


def test_no_such_format(tmp_path):
    with pytest.raises(ValueError, match=r"'zip'.*'pth', 'dcp'"):
        runner_of(tmp_path, 1, 3, None, save_format='zip')


def killed_while_it_writes(rank, world_size, work_dir):
    """Rank 0 is gone before the index is there; the other one with it."""
    from mmamp.checkpoint import parts

    write = parts._write

    def writing(*args):
        index = write(*args)
        if runner.iter >= 5:
            (Path(work_dir) / f'gone_{rank}').touch()
            while len(list(Path(work_dir).glob('gone_*'))) < 2:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        return index

    parts._write = writing
    runner = runner_of(
        work_dir, world_size, 9, 'FSDP2Strategy', max_keep_ckpts=1
    )
    runner.train()


def test_killed_while_it_writes(in_ranks, tmp_path):
    """The one before is there, what was begun goes with the next run."""
    with pytest.raises(AssertionError):
        in_ranks(2, killed_while_it_writes, tmp_path / 'run')
    run = tmp_path / 'run'
    assert (run / 'last_checkpoint').read_text() == str(run / 'iter_3.dcp')
    assert (run / 'iter_6.dcp').is_dir()
    in_ranks(
        *(2, train, run, 3, 'FSDP2Strategy'),
        dict(resume=run / 'iter_3.dcp', max_keep_ckpts=1),
    )
    assert not (run / 'iter_6.dcp').exists()
    in_ranks(2, train, tmp_path / 'whole', 9, 'FSDP2Strategy')
    whole = tmp_path / 'whole/iter_3.dcp'
    assert apart(run / 'iter_3.dcp', whole) == []
