"""A GAN under the Runner, on the CPU and on a GPU."""

import pytest
import torch
from devices import each_device, each_device_slow, each_dtype, on_gpu, waits
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

SETTINGS = {
    'plain': {},
    'average': {'model.ema_config': dict(momentum=0.1)},
    'R1': {'model.disc_regularizers': [dict(type='R1', interval=2)]},
    'WGAN-GP': {'model.disc_regularizers': [dict(type='WGANGP')]},
    'windows of two': {
        'optim_wrapper.generator.accumulative_counts': 2,
        'optim_wrapper.discriminator.accumulative_counts': 2,
    },
    'clipped': {
        'optim_wrapper.generator.clip_grad': dict(max_norm=1.0),
        'optim_wrapper.discriminator.clip_grad': dict(max_norm=1.0),
    },
    'channels_last': {'model.memory_format': 'channels_last'},
}
each_setting = pytest.mark.parametrize('setting', SETTINGS)


@HOOKS.register_module(force=True)
class CountWaits(Hook):
    """Counts the waits of each iteration, other hooks' included."""

    priority = 'LOWEST'
    found = []

    def before_train(self, runner):
        self.found.clear()
        run_iter = runner.train_loop.run_iter

        def counted(data_batch):
            with waits() as lines:
                run_iter(data_batch)
            self.found.append(lines)

        runner.train_loop.run_iter = counted


@pytest.fixture
def train(build_runner, device, monkeypatch):
    """``train(dtype, options)``: a runner that has trained on the device."""
    if device == 'cpu':
        # MMEngine takes a GPU where there is one.
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)

    def run(dtype, options, work_dir=None, **kwargs):
        runner = build_runner(
            'gan',
            {
                'optim_wrapper.generator.dtype': dtype,
                'optim_wrapper.discriminator.dtype': dtype,
                'randomness.deterministic': True,
                **options,
                **kwargs,
            },
            work_dir,
        )
        runner.train()
        assert next(runner.model.parameters()).device.type == device
        return runner

    yield run
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False


@pytest.fixture(autouse=True)
def _workspace(monkeypatch):
    """CuBLAS repeats itself with it alone."""
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', ':4096:8')


@each_device_slow
@each_dtype
@each_setting
def test_goes_on_bit_for_bit(train, tmp_path, dtype, setting):
    """From a checkpoint, maybe inside of a window, where it would be."""
    options = {
        **SETTINGS[setting],
        'train_cfg.max_iters': 6,
        'default_hooks.checkpoint.interval': 3,
        'default_hooks.checkpoint.type': 'mmamp.CheckpointHook',
        'custom_hooks': [dict(type='mmamp.StateHook')],
    }
    whole = train(dtype, options, tmp_path / 'whole')
    again = train(
        dtype,
        options,
        tmp_path / 'again',
        resume=True,
        load_from=str(tmp_path / 'whole/iter_3.pth'),
    )
    assert again.iter == 6
    expected = whole.model.state_dict()
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    for side in ('generator', 'discriminator'):
        assert again.optim_wrapper[side].skipped_steps == 0
    states = [
        r.optim_wrapper['generator'].optimizer.state_dict()['state']
        for r in (whole, again)
    ]
    for number, state in states[0].items():
        for key, value in state.items():
            assert torch.equal(value, states[1][number][key]), key


@each_device
@each_dtype
def test_no_gradient_goes_to_the_other_side(train, device, dtype):
    seen = []

    @HOOKS.register_module(force=True)
    class Gradients(Hook):
        def before_train(self, runner):
            model = runner.model
            sides = dict(
                generator=model.discriminator, discriminator=model.generator
            )
            for side, other in sides.items():
                runner.optim_wrapper[side].optimizer.register_step_pre_hook(
                    lambda *_, other=other: seen.append(
                        [p.grad is None for p in other.parameters()]
                    )
                )

    train(dtype, {'custom_hooks': [dict(type='Gradients')]})
    assert len(seen) == 8
    assert all(map(all, seen))


@each_device
@each_dtype
@pytest.mark.parametrize('setting', ['plain', 'average', 'R1'])
def test_a_bad_batch_leaves_no_trace(train, device, dtype, setting):
    """Not in weights, buffers or the average."""
    states = []

    @HOOKS.register_module(force=True)
    class Poison(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            states.append(
                {k: v.clone() for k, v in runner.model.state_dict().items()}
            )
            if runner.iter == 2:
                # Both sides lose their windows.
                self.handle = runner.model.discriminator.register_forward_hook(
                    lambda module, args, out: out * float('inf')
                )

        def after_train_iter(
            self, runner, batch_idx, data_batch=None, outputs=None
        ):
            if runner.iter == 2:
                self.handle.remove()

    runner = train(
        dtype,
        {**SETTINGS[setting], 'custom_hooks': [dict(type='Poison')]},
    )
    for side in ('generator', 'discriminator'):
        assert runner.optim_wrapper[side].skipped_steps == 1
    for name, value in states[2].items():
        assert torch.equal(value, states[3][name]), name
    for name, value in runner.model.state_dict().items():
        assert torch.isfinite(value).all(), name


@each_device_slow
@each_dtype
@each_setting
@pytest.mark.parametrize('optimizer', ['fused', 'foreach'])
def test_waits_of_an_iteration(train, device, dtype, setting, optimizer):
    """None with fused optimizers; else one for each of both."""
    how = dict(fused=optimizer == 'fused', foreach=optimizer == 'foreach')
    options = {
        **SETTINGS[setting],
        'train_cfg.max_iters': 8,
        # Neither logging nor saving, which have to wait.
        'default_hooks.logger.interval': 100,
        'default_hooks.checkpoint.interval': 100,
        'custom_hooks': [
            *(dict(type=f'mmamp.{x}') for x in HOOKS_OF_A_RUN),
            dict(type='CountWaits'),
        ],
    }
    for side in ('generator', 'discriminator'):
        options[f'optim_wrapper.{side}.optimizer'] = dict(
            type='Adam', lr=1e-3, **how
        )
    # Determinism has torch fill memory, and choose other kernels.
    train(dtype, options, **{'randomness.deterministic': False})
    most = 0 if optimizer == 'fused' else 2
    assert len(CountWaits.found) == 8
    for lines in CountWaits.found[4:]:
        assert len(lines) <= most, lines


HOOKS_OF_A_RUN = ('AmpMonitorHook', 'OverflowHook', 'StateHook')


class TestPinnedLoader:
    pytestmark = on_gpu

    @pytest.mark.parametrize('device', ['cuda'])
    def test_trains_as_with_pageable_memory(self, train):
        ends = []
        for pins in (False, True):
            runner = train('bfloat16', {'train_dataloader.pin_memory': pins})
            ends.append(runner.model.state_dict())
        for name, value in ends[0].items():
            assert torch.equal(value, ends[1][name]), name
