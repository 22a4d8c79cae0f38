"""``CheckpointHook(save_format='dcp')`` on several ranks, in real runs."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch
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
    work_dir, world_size, iters, strategy, save_format='dcp', **kwargs
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
        train_dataloader=dict(
            batch_size=8 // world_size,
            num_workers=0,
            sampler=dict(type='InfiniteSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
            dataset=dict(
                type='DigitsDataset', pipeline=[dict(type='PackImage')]
            ),
        ),
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
    cfg['strategy'] = dict(type=f'mmamp.{strategy}')
    return FlexibleRunner.from_cfg(Config(cfg))


def train(rank, world_size, work_dir, iters, strategy, options=None):
    kwargs = dict(options or {})
    resume = kwargs.pop('resume', None)
    runner = runner_of(work_dir, world_size, iters, strategy, **kwargs)
    if resume is not None:
        runner._load_from, runner._resume = str(resume), True
    runner.train()
    return sorted(x.name for x in Path(work_dir).glob('iter_*'))


def same(one, other, at=''):
    """Where two states differ, bit for bit."""
    if isinstance(one, torch.Tensor):
        if not torch.equal(one, other):
            yield at
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), at
        for key in one:
            yield from same(one[key], other[key], f'{at}/{key}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), at
        for i, pair in enumerate(zip(one, other, strict=True)):
            yield from same(*pair, f'{at}/{i}')
    elif one != other:
        yield at


PARTS = ('state_dict', 'optimizer', 'rng_states', 'data_position')


def differences(one, other):
    """Of what training goes on with."""
    one, other = read_checkpoint(str(one)), read_checkpoint(str(other))
    assert one.keys() == other.keys()
    assert one['meta']['iter'] == other['meta']['iter']
    keys = [key for key in PARTS if key in one]
    return [x for key in keys for x in same(one[key], other[key], key)]


@pytest.mark.parametrize('strategy', ['FSDP2Strategy', None])
def test_it_holds_what_a_file_holds(in_ranks, tmp_path, strategy):
    """Inside of a window, too; and it goes on as a file does, exactly."""
    parts, file = tmp_path / 'parts', tmp_path / 'file'
    found, _ = in_ranks(2, train, parts, 6, strategy)
    assert found == ['iter_3.dcp', 'iter_6.dcp']
    in_ranks(2, train, file, 6, strategy, dict(save_format='pth'))
    for name in ('iter_3', 'iter_6'):
        assert differences(parts / f'{name}.dcp', file / f'{name}.pth') == []
    # The parts are in the folder of the one who has them.
    files = {x.name for x in (parts / 'iter_3.dcp').rglob('*.distcp')}
    assert files >= {'__0_0.distcp', '__1_0.distcp'}
    in_ranks(
        *(2, train, tmp_path / 'next', 6, strategy),
        dict(resume=parts / 'iter_3.dcp'),
    )
    ours = tmp_path / 'next/iter_6.dcp'
    assert differences(ours, parts / 'iter_6.dcp') == []


@pytest.mark.parametrize('ranks', [1, 4])
def test_another_number_of_ranks_goes_on(in_ranks, tmp_path, ranks):
    in_ranks(2, train, tmp_path / 'run', 3, 'FSDP2Strategy')
    saved = tmp_path / 'run/iter_3.dcp'
    with_file = dcp_to_pth.convert(str(saved), None, weights_only=False)
    assert Path(with_file) == tmp_path / 'run/iter_3.pth'
    for name, path in (('parts', saved), ('file', with_file)):
        args = (tmp_path / name, 6, 'FSDP2Strategy', dict(resume=path))
        if ranks == 1:
            train(0, 1, *args)
        else:
            in_ranks(ranks, train, *args)
    ours, theirs = (tmp_path / x / 'iter_6.dcp' for x in ('parts', 'file'))
    assert differences(ours, theirs) == []


def reads(rank, world_size, work_dir, path):
    """Bytes that a rank has room made for, while it goes on from a file."""
    runner = runner_of(work_dir, world_size, 4, 'FSDP2Strategy')
    runner._load_from, runner._resume = str(path), True
    strategy, found = runner.strategy, {}
    load = strategy.load_model_state_dict

    def loading(state, **kwargs):
        found.update({k: type(v).__name__ for k, v in state.items()})
        load(state, **kwargs)

    strategy.load_model_state_dict = loading
    runner.train()
    return found


def test_a_rank_reads_its_parts_alone(in_ranks, tmp_path):
    in_ranks(2, train, tmp_path / 'run', 3, 'FSDP2Strategy')
    saved = tmp_path / 'run/iter_3.dcp'
    for found in in_ranks(2, reads, tmp_path / 'next', saved):
        assert found['generator.0.weight'] == 'DTensor'
        assert found['generator.1.running_mean'] == 'Tensor'


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


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        (dict(async_save=True), 'async_save=True writes files'),
        (dict(out_dir='s3://bucket'), "'s3://bucket' is to be a folder"),
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
        write(*args)
        if runner.iter >= 5:
            (Path(work_dir) / f'gone_{rank}').touch()
            while len(list(Path(work_dir).glob('gone_*'))) < 2:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)

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
    assert differences(run / 'iter_3.dcp', run / 'iter_3.dcp') == []
