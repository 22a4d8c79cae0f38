"""Networks sharded over real ranks; resuming: tests/test_integration."""

import os

import pytest
import torch
from digits_loader import digits_loader
from has_fsdp2 import HAS_FSDP2, WHY
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from mmengine.runner import FlexibleRunner
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.profiler import ProfilerActivity, profile

from mmamp.distributed.sharding import gathered
from mmamp.engine.strategies import FSDP2Strategy, fsdp2_strategy
from mmamp.registry import HOOKS, METRICS, MODELS

if not HAS_FSDP2:
    pytest.skip(WHY, allow_module_level=True)

from torch.distributed.tensor import DTensor


@MODELS.register_module(force=True)
class SmallGenerator(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Linear(4, 16),
            nn.Sequential(nn.Tanh(), nn.Linear(16, 64)),
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 1, 1),
        )


@MODELS.register_module(force=True)
class SmallDiscriminator(nn.Sequential):
    """Infinite on one rank in one of its forward passes."""

    def __init__(self, poison=None, norm=None):
        super().__init__(
            nn.Flatten(),
            nn.Linear(64, 8),
            nn.BatchNorm1d(8) if norm == 'batch' else nn.Identity(),
            spectral_norm(nn.Linear(8, 1))
            if norm == 'spectral'
            else nn.Linear(8, 1),
        )
        self.poison, self.calls = poison, 0

    def forward(self, x):
        self.calls += 1
        bad = [get_rank(), self.calls] == self.poison
        return super().forward(x) * (float('inf') if bad else 1.0)


@MODELS.register_module(force=True)
class WholeModel(BaseModel):
    """MMEngine's usual kind, which does not override ``train_step``."""

    def __init__(self):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.body, self.head = nn.Linear(64, 16), nn.Linear(16, 10)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        logits = self.head(self.body(inputs.flatten(1)).relu())
        if mode != 'loss':
            return logits
        labels = data_samples['gt_label']
        return dict(loss=nn.functional.cross_entropy(logits.float(), labels))


def amp(dtype, **kwargs):
    return dict(
        type='mmamp.AmpOptimWrapper',
        dtype=dtype,
        optimizer=dict(type='Adam', lr=1e-3),
        **kwargs,
    )


def gan(dtype='float32', counts=1, **disc):
    return dict(
        model=dict(
            type='mmamp.ImageGAN',
            noise_size=4,
            generator=dict(type='mmamp.SmallGenerator'),
            discriminator=dict(type='mmamp.SmallDiscriminator', **disc),
        ),
        optim_wrapper=dict(
            constructor='mmamp.OptimWrapperConstructor',
            generator=amp(dtype),
            discriminator=amp(dtype, accumulative_counts=counts),
        ),
    )


def orthogonal(dtype):
    """With terms that outweigh the losses."""
    cfg = gan(dtype, norm='spectral')
    terms = [dict(type='mmamp.Orthogonality', weight=10.0)]
    cfg['model'] |= dict(disc_regularizers=terms, gen_regularizers=terms)
    return cfg


def whole_model(dtype):
    return dict(model=dict(type='mmamp.WholeModel'), optim_wrapper=amp(dtype))


def runner_of(cfg, work_dir, rank=0, world_size=1, iters=4, **strategy):
    return FlexibleRunner.from_cfg(
        Config(
            dict(
                default_scope='mmamp',
                work_dir=str(work_dir),
                launcher='pytorch' if world_size > 1 else 'none',
                env_cfg=dict(),
                train_dataloader=digits_loader(8 // world_size),
                train_cfg=dict(by_epoch=False, max_iters=iters),
                strategy=dict(type='mmamp.FSDP2Strategy', **strategy),
                custom_hooks=[dict(type='StateHook')],
                default_hooks=dict(
                    checkpoint=dict(
                        type='CheckpointHook', interval=2, by_epoch=False
                    )
                ),
                log_level='ERROR',
                randomness=dict(seed=0),
                **cfg,
            )
        )
    )


def wrappers_of(runner):
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapperDict):
        return list(wrapper.values())
    return [wrapper]


def train(rank, world_size, work_dir, cfg, strategy):
    runner = runner_of(cfg, work_dir, rank, world_size, **strategy)
    runner.train()
    wrappers = wrappers_of(runner)
    params = list(runner.model.parameters())
    moments = [
        value
        for wrapper in wrappers
        for values in wrapper.optimizer.state.values()
        for key, value in values.items()
        if key == 'exp_avg'
    ]
    whole = gathered(runner.model.state_dict())
    return dict(
        # Only the main process has them.
        state={k: v for k, v in whole.items() if v is not None},
        skipped=[wrapper.skipped_steps for wrapper in wrappers],
        scales=[wrapper.loss_scaler.get_scale() for wrapper in wrappers],
        norms=[wrapper.record.grad_norm for wrapper in wrappers],
        sharded=all(isinstance(p, DTensor) for p in [*params, *moments]),
        numbers=[
            sum(p.numel() for p in params),
            sum(p.to_local().numel() for p in params),
            sum(m.to_local().numel() for m in moments),
        ],
    )


def assert_trained_alike(rank, runner, dtype):
    """Assert that ranks came to what one process does, but for rounding."""
    tolerance = (
        dict(rtol=1e-4, atol=1e-5)
        if dtype == 'float32'
        else dict(rtol=1e-2, atol=2e-3)
    )
    for name, value in runner.model.state_dict().items():
        torch.testing.assert_close(rank['state'][name], value, **tolerance)


@pytest.mark.parametrize(
    ('kind', 'dtype'),
    [
        (gan, 'float16'),
        (whole_model, 'float32'),
        (orthogonal, 'float32'),
        pytest.param(orthogonal, 'float16', marks=pytest.mark.slow),
        pytest.param(gan, 'float32', marks=pytest.mark.slow),
        pytest.param(whole_model, 'float16', marks=pytest.mark.slow),
    ],
)
def test_two_ranks_train_as_one_process(in_ranks, tmp_path, kind, dtype):
    cfg = kind(dtype)
    one, other = in_ranks(2, train, tmp_path / 'ranks', cfg, {})
    runner = runner_of(cfg, tmp_path / 'alone')
    runner.train()
    assert_trained_alike(one, runner, dtype)
    assert one['scales'] == other['scales']
    assert one['norms'] == other['norms']
    assert one['sharded']
    # Each rank holds its part of parameters and moments.
    total, *mine = one['numbers']
    theirs = other['numbers'][1:]
    assert [a + b for a, b in zip(mine, theirs, strict=True)] == [total] * 2
    assert total * 0.4 < mine[0] < total * 0.6


@pytest.mark.parametrize(
    'dtype',
    ['float32', pytest.param('float16', marks=pytest.mark.slow)],
)
def test_groups_that_shard(in_ranks, tmp_path, dtype):
    """Two copies of two halves train as one process, and go on as two."""
    cfg = gan(dtype)
    for name in ('generator', 'discriminator'):
        cfg['optim_wrapper'][name]['clip_grad'] = dict(max_norm=1.0)
    work_dir = tmp_path / 'ranks'
    ranks = in_ranks(4, train, work_dir, cfg, dict(shard_size=2))
    runner = runner_of(cfg, tmp_path / 'alone')
    runner.train()
    assert_trained_alike(ranks[0], runner, dtype)
    for rank in ranks:
        assert rank['scales'] == ranks[0]['scales']
        assert rank['norms'] == ranks[0]['norms']
        total, params, moments = rank['numbers']
        assert total * 0.4 < params < total * 0.6
        assert total * 0.4 < moments < total * 0.6
    norms = [x.record.grad_norm for x in wrappers_of(runner)]
    assert ranks[0]['norms'] == pytest.approx(norms, rel=1e-2)
    whole = torch.load(work_dir / 'iter_4.pth', weights_only=True)
    for name, value in whole['state_dict'].items():
        assert torch.equal(value, ranks[0]['state'][name])
    path = str(work_dir / 'iter_2.pth')
    for found in in_ranks(2, mapped, tmp_path / 'next', path, True, cfg):
        assert found == [True, False]


def wrongly_sized(rank, world_size, work_dir):
    try:
        runner_of(gan(), work_dir, rank, world_size, shard_size=3).train()
    except ValueError as error:
        return str(error)
    return ''


def test_a_size_that_does_not_divide_the_ranks(in_ranks, tmp_path):
    for said in in_ranks(2, wrongly_sized, tmp_path):
        assert 'shard_size=3 does not divide the 2 ranks; 1, 2 do' in said


@pytest.mark.parametrize(
    ('dtype', 'clip'),
    [
        ('float16', None),
        pytest.param('bfloat16', 'value', marks=pytest.mark.slow),
        pytest.param('float32', 'norm', marks=pytest.mark.slow),
    ],
)
def test_non_finite_on_one_rank_skips_on_all(in_ranks, tmp_path, dtype, clip):
    """In the second micro-batch of the second window."""
    cfg = gan(dtype, counts=2, poison=[1, 8])
    kinds = dict(
        norm=dict(max_norm=1.0), value=dict(type='value', clip_value=0.1)
    )
    cfg['optim_wrapper']['discriminator']['clip_grad'] = kinds.get(clip)
    cfg['optim_wrapper']['discriminator']['loss_scale'] = dict(init_scale=64.0)
    ranks = in_ranks(2, train, tmp_path / 'run', cfg, {})
    for rank in ranks:
        assert rank['skipped'] == [0, 1]
        assert rank['norms'] == ranks[0]['norms']
        if dtype == 'float16':
            assert rank['scales'][1] == 32
    for value in ranks[0]['state'].values():
        assert value.isfinite().all()


def checkpoint_of(rank, world_size, work_dir, cfg, strategy):
    train(rank, world_size, work_dir, cfg, strategy)
    return sorted(x for x in os.listdir(work_dir) if x.endswith('.pth'))


def test_one_file_of_plain_whole_tensors(in_ranks, tmp_path):
    """Not one for each rank; any process can load it."""
    found, _ = in_ranks(2, checkpoint_of, tmp_path / 'run', gan(), {})
    assert found == ['iter_2.pth', 'iter_4.pth']
    path = tmp_path / 'run/iter_4.pth'
    checkpoint = torch.load(path, weights_only=True)
    model = MODELS.build(gan()['model'])
    model.load_state_dict(checkpoint['state_dict'])
    for name in ('generator', 'discriminator'):
        network = getattr(model, name)
        optimizer = torch.optim.Adam(network.parameters())
        optimizer.load_state_dict(
            {
                key: checkpoint['optimizer'][name][key]
                for key in ('state', 'param_groups')
            }
        )
        for param, state in optimizer.state.items():
            assert type(state['exp_avg']) is torch.Tensor
            assert state['exp_avg'].shape == param.shape


def mapped(rank, world_size, work_dir, path, resume, cfg=None):
    runner = runner_of(cfg or gan(), work_dir, rank, world_size, iters=6)
    runner._load_from, runner._resume = path, resume
    found = []
    load = runner.strategy.load_model_state_dict

    def loading(*args, **kwargs):
        with open('/proc/self/maps') as file:
            found.append(path in file.read())
        load(*args, **kwargs)

    runner.strategy.load_model_state_dict = loading
    runner.train()
    with open('/proc/self/maps') as file:
        found.append(path in file.read())
    return found


@pytest.mark.skipif(not os.path.exists('/proc/self/maps'), reason='Linux')
@pytest.mark.parametrize('resume', [True, False])
def test_no_rank_reads_a_whole_checkpoint(in_ranks, tmp_path, resume):
    """It is mapped while it is dealt out, and let go of."""
    in_ranks(2, checkpoint_of, tmp_path / 'run', gan(), {})
    path = str(tmp_path / 'run/iter_4.pth')
    for found in in_ranks(2, mapped, tmp_path / 'next', path, resume):
        assert found == [True, False]


def dtypes_in_forward(rank, world_size, work_dir, cfg, strategy):
    runner = runner_of(cfg, work_dir, rank, world_size, **strategy)
    seen = {}

    def look(name):
        def hook(module, args):
            seen.setdefault(name, str(module.weight.dtype))

        return hook

    original = runner.strategy._wrap_model

    def wrap(model):
        model = original(model)
        model.generator[0].register_forward_pre_hook(look('generator'))
        model.discriminator[1].register_forward_pre_hook(look('discriminator'))
        return model

    runner.strategy._wrap_model = wrap
    runner.train()
    assert {p.dtype for p in runner.model.parameters()} == {torch.float32}
    return seen


@pytest.mark.parametrize(
    ('given', 'strategy', 'disc'),
    [
        (dict(), {}, 'bfloat16'),
        *(
            pytest.param(*case, 'float32', marks=pytest.mark.slow)
            for case in [
                (dict(norm='batch'), {}),
                (dict(norm='spectral'), {}),
                (dict(), dict(param_dtype='float32')),
            ]
        ),
    ],
)
def test_what_parameters_are_gathered_in(
    in_ranks, tmp_path, given, strategy, disc
):
    cfg = gan('bfloat16', **given)
    for seen in in_ranks(2, dtypes_in_forward, tmp_path, cfg, strategy):
        assert seen['discriminator'] == f'torch.{disc}'
        gen = 'float32' if strategy else 'bfloat16'
        assert seen['generator'] == f'torch.{gen}'


def evaluate(rank, world_size, work_dir, cfg, strategy):
    """Train with validation, and with samples where there is a generator."""
    extra = dict(
        val_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
            dataset=dict(
                type='DigitsDataset', pipeline=[dict(type='PackImage')]
            ),
        ),
        val_cfg=dict(),
        val_evaluator=dict(type='Dtypes'),
    )
    is_gan = 'ImageGAN' in cfg['model']['type']
    runner = runner_of(
        {**cfg, **({} if is_gan else extra)},
        work_dir,
        rank,
        world_size,
        **strategy,
    )
    if is_gan:
        hook = dict(type='SampleHook', interval=2, num_samples=4, columns=2)
        runner.register_hook(HOOKS.build(hook))
    runner.train()
    return sorted(Dtypes.seen)


@METRICS.register_module(force=True)
class Dtypes(BaseMetric):
    """What predictions come in."""

    seen: set = set()

    def process(self, data_batch, data_samples):
        self.seen |= {str(x.dtype) for x in data_samples}
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(count=len(results))


@pytest.mark.parametrize(
    'kind', [gan, pytest.param(whole_model, marks=pytest.mark.slow)]
)
def test_validation_and_samples(in_ranks, tmp_path, kind):
    """Outside of autocast, with parameters in low precision."""
    cfg = kind('bfloat16')
    for seen in in_ranks(2, evaluate, tmp_path / 'run', cfg, {}):
        assert seen == ([] if kind is gan else ['torch.float32'])
    if kind is gan:
        assert len(list((tmp_path / 'run').rglob('samples_*.png'))) == 2


def count_collectives(rank, world_size, work_dir, cfg, strategy):
    runner = runner_of(cfg, work_dir, rank, world_size, iters=6, **strategy)
    found = []

    def counted(data, optim_wrapper):
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            result = original(data, optim_wrapper)
        found.append(
            {
                event.key: event.count
                for event in profiler.key_averages()
                if event.key.startswith('gloo:')
            }
        )
        return result

    original = None
    wrap = runner.strategy._wrap_model

    def wrap_and_count(model):
        nonlocal original
        model = wrap(model)
        original = model.train_step
        model.train_step = counted
        return model

    runner.strategy._wrap_model = wrap_and_count
    runner.train()
    return found[-2:]


def test_collectives_of_an_update(in_ranks, tmp_path):
    """What the documentation says of the cost.

    Each forward and each backward pass gathers the parameters of the network
    that it goes through: in the discriminator's turn the generator's once and
    its own twice and once; in the generator's its own and the discriminator's
    once and once. gloo reduces and scatters by an all-reduce. The norm of the
    gradients is a number.
    """
    cfg = gan('bfloat16', counts=2)
    for micro, last in in_ranks(2, count_collectives, tmp_path, cfg, {}):
        assert micro == {'gloo:all_gather': 4, 'gloo:all_reduce': 1}
        assert last == {'gloo:all_gather': 8, 'gloo:all_reduce': 2 + 2}


class TestMistakes:
    @pytest.mark.parametrize(
        ('args', 'error', 'match'),
        [
            (dict(units='generator'), TypeError, "but got 'generator'"),
            (dict(units=['(']), TypeError, "'\\(' is no regular expression"),
            (dict(forward_methods='x'), TypeError, "but got 'x'"),
            (dict(param_dtype='half'), ValueError, "'auto', 'float32'"),
            (dict(model_wrapper=dict()), TypeError, 'model_wrapper; it'),
            (dict(unit=[]), TypeError, 'no argument unit; it takes units'),
        ],
    )
    def test_arguments(self, args, error, match, tmp_path):
        with pytest.raises(error, match=match):
            FSDP2Strategy(work_dir=str(tmp_path), **args)

    def test_a_torch_without_it(self, monkeypatch, tmp_path):
        monkeypatch.setattr(fsdp2_strategy, 'CAN_SHARD', False)
        # What the command tells in one line.
        with pytest.raises(ImportError, match='needs torch >= 2.7, but 2'):
            FSDP2Strategy(work_dir=str(tmp_path))

    def test_units_that_match_nothing(self, as_rank, tmp_path):
        with as_rank(0, 2):
            runner = runner_of(gan(), tmp_path, 0, 2, units=['gen.*', 'x.y'])
            with pytest.raises(ValueError, match="units='x.y' matches no"):
                runner.train()

    @pytest.mark.parametrize(
        ('name', 'match'),
        [
            ('generater.sample', 'begins with no network or unit; .* gen'),
            ('generator.smaple', "'smaple'; it has sample.*mean 'sample'"),
        ],
    )
    def test_methods_that_are_not_there(self, as_rank, tmp_path, name, match):
        cfg = gan()
        cfg['model']['generator']['type'] = 'mmamp.Sampling'
        with as_rank(0, 2):
            runner = runner_of(cfg, tmp_path, 0, 2, forward_methods=[name])
            with pytest.raises(ValueError, match=match):
                runner.train()

    @pytest.mark.parametrize('optimizer', ['Rprop', 'TorchAdafactor'])
    def test_an_optimizer_that_fails_on_shards(
        self, as_rank, tmp_path, optimizer
    ):
        cfg = whole_model('float32')
        cfg['optim_wrapper']['optimizer'] = dict(type=optimizer, lr=0.1)
        with as_rank(0, 2):
            runner = runner_of(cfg, tmp_path, 0, 2)
            name = optimizer.removeprefix('Torch')
            with pytest.raises(ValueError, match=f'{name} cannot step'):
                runner.train()

    def test_a_module_of_two_networks(self, as_rank, tmp_path):
        with as_rank(0, 2):
            runner = runner_of(gan(), tmp_path, 0, 2)
            model = MODELS.build(gan()['model'])
            model.discriminator.append(model.generator[0])
            with pytest.raises(ValueError, match='cannot shard for both'):
                runner.strategy._wrap_model(model)

    def test_parameters_outside_of_networks(self, as_rank, tmp_path):
        with as_rank(0, 2):
            runner = runner_of(gan(), tmp_path, 0, 2)
            model = MODELS.build(gan()['model'])
            model.extra = nn.Parameter(torch.zeros(2))
            with pytest.raises(ValueError, match=r'\(extra\), which FSDP2'):
                runner.strategy._wrap_model(model)


@MODELS.register_module(force=True)
class Tied(BaseModel):
    """A weight of two modules, of which one is inside of another unit."""

    def __init__(self):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.embed = nn.Linear(64, 64, bias=False)
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.body.head = nn.Linear(64, 64, bias=False)
        self.body.head.weight = self.embed.weight
        self.last = nn.Linear(64, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = self.body(self.embed(inputs.flatten(1)))
        return dict(loss=(self.last(x) - 1).pow(2).mean())


def weights_of_tied(rank, world_size, work_dir, units):
    cfg = dict(
        model=dict(type='mmamp.Tied'),
        optim_wrapper=dict(amp('float32'), optimizer=dict(type='SGD', lr=0.1)),
    )
    strategy = dict(units=units) if world_size > 1 else {}
    runner = runner_of(cfg, work_dir, rank, world_size, **strategy)
    runner.train()
    model = runner.model
    assert model.body.head.weight is model.embed.weight
    state = gathered(dict(model.state_dict()))
    return {k: v for k, v in state.items() if v is not None}


def test_weights_that_units_share(in_ranks, tmp_path):
    alone = weights_of_tied(0, 1, tmp_path / 'alone', [])
    for i, units in enumerate(
        (['embed'], [r'body\.head'], ['body'], ['embed', 'body', r'body\.1'])
    ):
        work_dir = tmp_path / f'ranks{i}'
        weights, _ = in_ranks(2, weights_of_tied, work_dir, units)
        for name, weight in alone.items():
            torch.testing.assert_close(weights[name], weight)


@MODELS.register_module(force=True)
class Sampling(SmallGenerator):
    def sample(self, noise):
        for layer in list(self)[:3]:
            noise = layer(noise)
        return noise


def sampled(rank, world_size, work_dir, methods):
    cfg = gan()
    cfg['model']['generator']['type'] = 'mmamp.Sampling'
    runner = runner_of(
        cfg, work_dir, rank, world_size, iters=1, forward_methods=methods
    )
    runner.train()
    torch.manual_seed(0)
    with torch.no_grad():
        try:
            return runner.model.generator.sample(torch.randn(2, 4))
        except (RuntimeError, TypeError) as error:
            return str(error)


def test_methods_that_are_not_forward(in_ranks, tmp_path):
    for rank in in_ranks(2, sampled, tmp_path / 'a', ['generator.sample']):
        assert rank.shape == (2, 1, 8, 8)
    for rank in in_ranks(2, sampled, tmp_path / 'b', []):
        assert 'DTensor' in rank  # what torch says of it


def test_one_process_is_not_sharded(tmp_path, mm_log):
    runner = runner_of(gan(), tmp_path, iters=2)
    runner.train()
    assert not any(isinstance(p, DTensor) for p in runner.model.parameters())
