"""A GAN in two processes, resumed there and elsewhere, as a user would."""

import subprocess

import pytest
import torch
from has_fsdp2 import HAS_FSDP2, WHY

pytestmark = pytest.mark.ranks

MODEL = """
from torch import nn

@MODELS.register_module()
class Gen(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Sequential(nn.Linear(6, 16), nn.Tanh()), nn.Linear(16, 64),
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 1, 1))

@MODELS.register_module()
class Disc(nn.Sequential):
    def __init__(self, bad_rank=None):
        super().__init__(
            nn.Flatten(), nn.Sequential(nn.Linear(64, 16), nn.LeakyReLU(0.2)),
            nn.Linear(16, 1))
        self.bad_rank = bad_rank

    def forward(self, x):
        x = super().forward(x)
        from mmengine.dist import get_rank
        return x * float('nan') if get_rank() == self.bad_rank else x
"""
CONFIG = """
model = dict(
    type='ImageGAN', noise_size=6, generator=dict(type='mmengine.Gen'),
    discriminator=dict(type='mmengine.Disc'), ema_config=dict(momentum=0.1),
    disc_regularizers=[dict(type='R1', interval=2)],
    augment=dict(type='ADA', target=0.0, ada_kimg=0.1, interval=2))
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(
        type='AmpOptimWrapper', optimizer=dict(type='Adam', lr=1e-3)),
    discriminator=dict(
        type='AmpOptimWrapper', accumulative_counts=2,
        clip_grad=dict(max_norm=1.0), optimizer=dict(type='Adam', lr=1e-3)))
train_cfg = dict(by_epoch=False, max_iters=8)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', interval=3, by_epoch=False))
randomness = dict(seed=0)
"""


@pytest.fixture
def train(user_project, environment, python):
    """``train(2, 'work_dir', ...)`` in so many processes."""
    folder = user_project(MODEL, CONFIG)

    def run(num, work_dir, *args, dtype='float32', code=0, **more):
        options = {
            'train_dataloader.batch_size': 8 // num,
            'optim_wrapper.generator.dtype': dtype,
            'optim_wrapper.discriminator.dtype': dtype,
            **more,
        }
        launch = ['-m', 'torch.distributed.run', '--standalone']
        launch += [f'--nproc-per-node={num}']
        done = subprocess.run(
            [
                python,
                *(launch if num > 1 else []),
                *('-m', 'mmamp.train', 'config.py', '--work-dir', work_dir),
                *('--launcher', 'pytorch' if num > 1 else 'none', *args),
                '--cfg-options',
                *(f'{key}={value}' for key, value in options.items()),
            ],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            timeout=200,
        )
        text = done.stdout + done.stderr
        assert done.returncode == code, text
        return text

    run.folder = folder
    return run


def weights(train, work_dir, iteration=8):
    path = train.folder / work_dir / f'iter_{iteration}.pth'
    return torch.load(path, weights_only=True)['state_dict']


STRATEGY = dict(
    ddp={},
    flexible={'strategy.type': 'DDPStrategy'},
    fsdp={'strategy.type': 'FSDP2Strategy'},
    units={
        'strategy.type': 'FSDP2Strategy',
        'strategy.units': r'[(generator|discriminator)\.[01]]',
    },
)
"""One DDP for each network, by either runner; sharded; in several units."""


def needs(*strategies):
    """Skip the test where torch has not what it is about."""
    if {'fsdp', 'units'} & {*strategies} and not HAS_FSDP2:
        pytest.skip(WHY)


@pytest.mark.parametrize(
    ('strategy', 'dtype', 'async_save'),
    [
        pytest.param('ddp', 'float32', False, marks=pytest.mark.slow),
        ('ddp', 'float16', False),
        ('ddp', 'float16', True),
        ('fsdp', 'float16', False),
        ('fsdp', 'float16', True),
        pytest.param('units', 'float32', True, marks=pytest.mark.slow),
    ],
)
def test_in_as_many_processes_exactly(train, strategy, dtype, async_save):
    """From inside of a window of the discriminator's."""
    needs(strategy)
    more = dict(STRATEGY[strategy], dtype=dtype)
    more['default_hooks.checkpoint.async_save'] = async_save
    # Latents are those of one seed all the same.
    more['randomness.diff_rank_seed'] = dtype == 'float16'
    train(2, 'whole', **more)
    whole = weights(train, 'whole')
    assert not any('.module.' in name for name in whole if 'ema' not in name)
    path = str(train.folder / 'whole/iter_3.pth')
    text = train(2, 'rest', '--resume', path, **more)
    assert 'do not match' not in text
    rest = weights(train, 'rest')
    assert rest.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.equal(rest[name], value), name


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        ((2, 'flexible'), (1, 'ddp')),
        ((1, 'ddp'), (2, 'units')),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in [
                ((1, 'ddp'), (2, 'ddp')),
                ((2, 'fsdp'), (1, 'fsdp')),
                ((2, 'ddp'), (2, 'fsdp')),
                ((2, 'units'), (2, 'ddp')),
            ]
        ),
    ],
)
def test_in_other_processes(train, first, second):
    """The same samples, in the same updates, augmented in the same way."""
    needs(first[1], second[1])
    # The open window of a checkpoint has signs that the first rank has seen.
    fixed = {'model.augment.target': 'None', 'model.augment.p': 0.5}
    num, strategy = first
    train(num, 'whole', **STRATEGY[strategy], **fixed)
    whole = weights(train, 'whole')
    path = str(train.folder / 'whole/iter_3.pth')
    num, strategy = second
    more = STRATEGY[strategy] | fixed
    text = train(num, 'rest', '--resume', path, **more)
    is_new = first[0] != second[0]
    assert ('holds no random-number states of' in text) == is_new
    rest, moved = weights(train, 'rest'), weights(train, 'whole', 3)
    assert rest.keys() == whole.keys()
    for name, value in whole.items():
        torch.testing.assert_close(rest[name], value, rtol=1e-4, atol=1e-5)
    name = 'discriminator.1.0.weight'
    assert not torch.allclose(moved[name], whole[name], atol=1e-4)


@pytest.mark.parametrize(
    'strategy', ['ddp', pytest.param('fsdp', marks=pytest.mark.slow)]
)
def test_a_nan_on_one_rank_ends_all_with_a_checkpoint(train, strategy):
    needs(strategy)
    config = train.folder / 'config.py'
    config.write_text(
        config.read_text()
        + "\ncustom_hooks = [dict(type='OverflowHook', patience=2)]"
    )
    more = {
        'model.discriminator.bad_rank': 1,
        'train_cfg.max_iters': 60,
        'default_hooks.checkpoint.interval': 100,
        **STRATEGY[strategy],
    }
    text = train(2, 'bad', dtype='bfloat16', code=1, **more)
    assert text.count('windows had gradients that are not finite') == 1
    # What torchrun says of each rank.
    assert 'exitcode  : 3' in text
    assert 'Connection closed' not in text
    (saved,) = (train.folder / 'bad').glob('last_finite_iter_*.pth')
    state = torch.load(saved, weights_only=True)['state_dict']
    assert all(value.isfinite().all() for value in state.values())
