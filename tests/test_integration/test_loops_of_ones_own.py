"""Models with several optimizers whose ``train_step`` is somebody's own."""

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from torch import nn

from mmamp.registry import MODELS


class OwnGAN(BaseModel):
    """Enters the context of one network at a time, as MMagic's models do."""

    def __init__(self, bad=(), every=1):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.generator = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
        self.discriminator = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
        self.bad, self.every = bad, every

    def forward(self, inputs):
        return self.generator(inputs)

    def train_step(self, data, optim_wrapper):
        x = self.data_preprocessor(data, True)['inputs']
        x = x.flatten(2).mean(1)[..., :8]
        iteration = MessageHub.get_current_instance().get_info('iter')
        logs = {}
        for name, other in (
            ('discriminator', self.generator),
            ('generator', self.discriminator),
        ):
            if name == 'generator' and iteration % self.every:
                continue
            wrapper = optim_wrapper[name]
            other.requires_grad_(False)
            with wrapper.optim_context(getattr(self, name)):
                given = x * torch.nan if (iteration, name) in self.bad else x
                scores = self.discriminator(self.generator(given)).float()
                loss = (scores - 1).square().mean()
            wrapper.update_params(loss)
            other.requires_grad_(True)
            logs[f'loss_{name}'] = loss.detach()
        return logs


MODELS.register_module(module=OwnGAN, force=True)


def trained(build_runner, iters=4, counts=(1, 1), dtype='float32', **options):
    model = dict(type='OwnGAN', **options.pop('model', {}))

    def edit(cfg):
        cfg.model = model
        cfg.custom_hooks = [
            dict(type=x) for x in ('AmpMonitorHook', 'StateHook')
        ]

    given = {
        'train_cfg.max_iters': iters,
        'default_hooks.checkpoint': dict(
            type='mmamp.CheckpointHook', interval=1
        ),
        'randomness': dict(seed=0),
        **options,
    }
    for name, count in zip(
        ('discriminator', 'generator'), counts, strict=True
    ):
        given[f'optim_wrapper.{name}.dtype'] = dtype
        given[f'optim_wrapper.{name}.accumulative_counts'] = count
    runner = build_runner('gan', given, edit=edit)
    runner.train()
    return runner


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
@pytest.mark.parametrize('name', ['discriminator', 'generator'])
def test_a_skipped_window_leaves_nothing_in_the_other_network(
    build_runner, dtype, name
):
    runner = trained(build_runner, dtype=dtype, model=dict(bad=[(2, name)]))
    assert runner.optim_wrapper[name].skipped_steps == 1
    for network in (runner.model.generator, runner.model.discriminator):
        assert all(x.isfinite().all() for x in network.state_dict().values())
    # One pass of three for each network, but that of the skipped window.
    assert int(runner.model.generator[1].num_batches_tracked) == 7


@pytest.mark.parametrize('every', [1, 2])
def test_the_last_window_is_stepped(build_runner, every):
    runner = trained(build_runner, 4, counts=(8, 1), model=dict(every=every))
    wrappers = runner.optim_wrapper
    assert wrappers['discriminator'].record.windows == 1
    assert not wrappers['discriminator'].is_in_window
    assert wrappers['generator'].record.windows == 4 // every


@pytest.mark.parametrize('every', [1, 2])
@pytest.mark.parametrize('counts', [(1, 1), (3, 1), (1, 2), (3, 2)])
def test_a_resume_from_inside_of_a_window_is_exact(
    build_runner, counts, every
):
    model = dict(every=every)
    whole = trained(build_runner, 12, counts, model=model)
    for at in (3, 5, 7):
        resumed = trained(
            build_runner,
            12,
            counts,
            model=model,
            load_from=f'{whole.work_dir}/iter_{at}.pth',
            resume=True,
        )
        for a, b in zip(
            whole.model.state_dict().items(),
            resumed.model.state_dict().items(),
            strict=True,
        ):
            assert torch.equal(a[1], b[1]), (at, a[0])
