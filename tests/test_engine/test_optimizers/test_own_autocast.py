"""Loops whose forward passes nobody has put in ``optim_context``."""

import copy
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from mmamp.engine.optimizers.own_autocast import networks_of
from mmamp.errors import UsageError
from mmamp.registry import MODELS


class Judge(nn.Module):
    """A network that is called as a whole, and by a method of its own."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        return self.head(self.body(x))

    def features(self, x):
        return self.body(x)


class Forgetful(BaseModel):
    """Trains as AOT-GAN, DeepFill, ADM and one-stage inpaintors do."""

    way = 'backward'

    def __init__(self, way='backward'):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.way = way
        self.generator = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.discriminator = Judge()
        self.judged, self.losses = [], []

    def forward(self, inputs):
        return self.generator(inputs)

    def train_step(self, data, optim_wrapper):
        x = self.data_preprocessor(data, True)['inputs']
        x = x.flatten(2).mean(1)[..., :8]
        for name in ('discriminator', 'generator'):
            fake = self.generator(x)
            if self.way == 'method':
                scores = self.discriminator.features(fake)
            else:
                scores = self.discriminator(fake)
            # Losses of inpaintors are computed outside of the networks.
            loss = scores.square().mean() + (fake - x).abs().mean()
            self.losses.append(loss.dtype)
            wrapper = optim_wrapper[name]
            self.zero_grad()
            if self.way == 'update_params':
                wrapper.update_params(loss)
                continue
            if self.way == 'by hand':
                loss.backward()
            else:
                wrapper.backward(loss)
            wrapper.step()
        return dict(loss=loss)


MODELS.register_module(module=Forgetful, force=True)

WAYS = ['backward', 'update_params', 'by hand', 'method']


def trained(build_runner, way='backward', dtype='bfloat16', **options):
    """Train; the dtypes that the first layers computed in, by iteration."""

    def edit(cfg):
        cfg.model = dict(type='Forgetful', way=way)
        # As mmamp.train does.
        hooks = cfg.get('custom_hooks', [])
        cfg.custom_hooks = [*hooks, dict(type='AmpMonitorHook')]

    given = {'train_cfg.max_iters': 3, **options}
    for name in ('generator', 'discriminator'):
        given[f'optim_wrapper.{name}.dtype'] = dtype
    runner = build_runner(
        'gan', {'train_cfg.max_iters': 3, **given}, edit=edit
    )
    seen = {}
    for name in ('generator.0', 'discriminator.body.0'):
        runner.model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.setdefault(
                name, []
            ).append(output.dtype)
        )
    runner.train()
    (log,) = Path(runner.work_dir).glob('*/*.log')
    return runner, seen, log.read_text()


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_networks_run_in_autocast_from_the_second_iteration_on(
    build_runner, way, dtype
):
    low = getattr(torch, dtype)
    runner, seen, log = trained(build_runner, way, dtype)
    for found in seen.values():
        assert found[0] is torch.float32
        assert set(found[2:]) == {low}
    assert set(runner.model.losses) == {torch.float32}
    said = [x for x in log.splitlines() if 'From here on' in x]
    assert len(said) == 2
    for line, name in zip(
        sorted(said), ('discriminator', 'generator'), strict=True
    ):
        assert f'WARNING - AmpOptimWrapper {name!r}: no forward' in line
        assert f'From here on {name!r} runs in autocast' in line
    assert 'this training is in float32' not in log
    for wrapper in runner.optim_wrapper.values():
        assert wrapper.record.windows == 3
        assert not wrapper.skipped_steps


@pytest.mark.parametrize('way', WAYS)
def test_from_the_start(build_runner, way):
    options = {
        f'optim_wrapper.{name}.autocast': 'networks'
        for name in ('generator', 'discriminator')
    }
    runner, seen, log = trained(build_runner, way, log_level='INFO', **options)
    for found in seen.values():
        assert set(found) == {torch.bfloat16}
    assert set(runner.model.losses) == {torch.float32}
    assert "'generator' runs in autocast in training" in log
    assert 'WARNING - AmpOptimWrapper' not in log
    runner.model.generator[0]._forward_hooks.clear()
    # Not in evaluation, nor in copies, which are nobody's to train.
    x = torch.ones(2, 8)
    for model in (runner.model, copy.deepcopy(runner.model)):
        assert model.eval().generator[0](x).dtype is torch.float32
    copied = copy.deepcopy(runner.model).train()
    assert copied.generator[0](x).dtype is torch.float32
    generator = pickle.loads(pickle.dumps(runner.model.generator))
    assert generator.train()(x).dtype is torch.float32


@pytest.mark.parametrize('way', WAYS)
def test_refused(build_runner, way):
    options = {'optim_wrapper.discriminator.autocast': 'context'}
    with pytest.raises(UsageError, match="AmpOptimWrapper 'discriminator'"):
        trained(build_runner, way, **options)


def test_what_nothing_helps_is_an_error(build_runner, monkeypatch):
    """Weights that are used without any module."""

    def functional(self, x):
        for layer in (self.body[0], self.head):
            x = nn.functional.linear(x, layer.weight, layer.bias)
        return x

    monkeypatch.setattr(Judge, 'features', functional)
    with pytest.raises(UsageError, match="nor was 'discriminator' called"):
        trained(build_runner, 'method', **{'train_cfg.max_iters': 9})


def test_a_mode_that_there_is_not(build_runner):
    with pytest.raises(ValueError, match="'auto', 'networks', 'context'"):
        trained(
            build_runner, **{'optim_wrapper.generator.autocast': 'network'}
        )


@pytest.mark.parametrize('mode', ['auto', 'networks'])
def test_rules_know_better(build_runner, mode):
    rules = [dict(pattern=r'discriminator\.body', dtype='float32')]
    options = {'optim_wrapper.discriminator.autocast': mode}
    for way in ('backward', 'method'):
        _, seen, _ = trained(
            build_runner,
            way,
            custom_hooks=[dict(type='PrecisionHook', rules=rules)],
            **options,
        )
        assert set(seen['discriminator.body.0']) == {torch.float32}
        assert torch.bfloat16 in seen['generator.0']


def test_one_context_around_both_is_seen(build_runner, monkeypatch):
    """As when the losses of all are computed in that of one."""

    def train_step(self, data, optim_wrapper):
        x = self.data_preprocessor(data, True)['inputs']
        x = x.flatten(2).mean(1)[..., :8]
        with optim_wrapper['generator'].optim_context(self):
            fake = self.generator(x)
            judged = self.discriminator(fake.detach()).float().square().mean()
            loss = self.discriminator(fake).float().square().mean()
        self.discriminator.zero_grad()
        optim_wrapper['discriminator'].update_params(judged)
        optim_wrapper['generator'].update_params(loss)
        return dict(loss=loss)

    monkeypatch.setattr(Forgetful, 'train_step', train_step)
    _, seen, log = trained(build_runner, **{'train_cfg.max_iters': 6})
    for found in seen.values():
        assert set(found) == {torch.bfloat16}
    assert 'WARNING - AmpOptimWrapper' not in log


def test_float32_is_what_it_says(build_runner):
    _, seen, log = trained(build_runner, dtype='float32')
    for found in seen.values():
        assert set(found) == {torch.float32}
    assert 'AmpOptimWrapper' not in log.replace('type=', '')


def test_buffers_of_a_skipped_window_are_put_back(build_runner, monkeypatch):
    """The networks run in contexts that the guard knows of."""
    features = Judge.forward

    def broken(self, x):
        if len(broken.calls) == 4:
            x = x * torch.nan
        broken.calls.append(int(self.body[1].num_batches_tracked))
        return features(self, x)

    broken.calls = []
    monkeypatch.setattr(Judge, 'forward', broken)
    runner, _, _ = trained(build_runner, **{'train_cfg.max_iters': 4})
    assert runner.optim_wrapper['discriminator'].skipped_steps == 1
    norm = runner.model.discriminator.body[1]
    assert norm.running_mean.isfinite().all()


def test_which_networks_are_an_optimizers():
    shared = nn.Linear(2, 2)
    model = nn.ModuleDict(
        dict(
            a=nn.Sequential(nn.Linear(2, 2)),
            b=nn.ModuleDict(dict(own=nn.Linear(2, 2), shared=shared)),
            c=nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
            empty=nn.Identity(),
        )
    )
    model['c'][1].requires_grad_(False)
    params = [
        *model['a'].parameters(),
        *model['b']['own'].parameters(),
        *model['c'][0].parameters(),
    ]
    assert list(networks_of(model, params)) == ['a', 'c', 'b.own']


@pytest.mark.parametrize('way', WAYS)
def test_a_resumed_run_goes_on_in_autocast_at_once(build_runner, way):
    options = {
        'default_hooks.checkpoint': dict(
            type='mmamp.CheckpointHook', interval=1
        ),
        'custom_hooks': [dict(type='StateHook')],
        'randomness': dict(seed=0),
    }
    whole, _, _ = trained(build_runner, way, **options)
    resumed, seen, log = trained(
        build_runner,
        way,
        load_from=f'{whole.work_dir}/iter_2.pth',
        resume=True,
        **options,
    )
    for found in seen.values():
        assert set(found) == {torch.bfloat16}
    assert 'From here on' not in log
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
