import os
import re
from glob import glob

import pytest
import torch
from torch import nn

from mmamp.engine.hooks import OverflowHook
from mmamp.errors import NonFiniteTrainingError
from mmamp.precision.nonfinite import NonFiniteTracer
from mmamp.registry import MODELS


class _Explode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float('inf')


class Explode(nn.Module):
    """Its backward pass is infinite."""

    def forward(self, x):
        return _Explode.apply(x)


class TooMuch(nn.Module):
    """Beyond float16 in the forward pass, and back again."""

    def forward(self, x):
        return x * 1e8


class Back(nn.Module):
    def forward(self, x):
        return x.float() * 1e-8


@MODELS.register_module(force=True)
class FaultyDiscriminator(nn.Module):
    def __init__(self, fault):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3)
        self.fault = dict(explode=Explode, forward=TooMuch)[fault]()
        self.back = Back() if fault == 'forward' else nn.Identity()
        self.head = nn.Linear(4 * 36, 1)

    def forward(self, x):
        x = self.back(self.fault(self.first(x)))
        return self.head(x.flatten(1))


def options(dtype='float16', iters=40, **hook):
    args = dict(patience=3, interval=1)
    found = {
        'custom_hooks': [
            dict(type='OverflowHook', **{**args, **hook}),
            dict(type='StateHook'),
        ],
        'train_cfg.max_iters': iters,
        'log_level': 'INFO',
    }
    for name in ('generator', 'discriminator'):
        found[f'optim_wrapper.{name}.dtype'] = dtype
        found[f'optim_wrapper.{name}.loss_scale'] = dict(init_scale=4.0)
    return found


def faulty(fault, **kwargs):
    def edit(cfg):
        cfg.model.discriminator = dict(
            type='FaultyDiscriminator', fault=fault, **kwargs
        )

    return edit


class TestEndsTheRun:
    @pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
    def test_backward(self, build_runner, dtype):
        runner = build_runner('gan', options(dtype), edit=faulty('explode'))
        with pytest.raises(NonFiniteTrainingError) as error:
            runner.train()
        text = str(error.value)
        # The generator's windows go through it too.
        assert text.startswith(('discriminator: ', 'generator: '))
        assert "'discriminator.fault' (Explode)" in text
        assert 'windows had gradients' in text
        scale = 'loss scale of 1,' if dtype == 'float16' else 'in bfloat16'
        assert scale in text
        self.check_state(runner, text)

    @staticmethod
    def check_state(runner, text):
        (path,) = re.findall(r'is in (.*\.pth)', text)
        assert os.path.basename(path).startswith('last_finite_iter_')
        state = torch.load(path, weights_only=True)
        for name, value in state['state_dict'].items():
            assert torch.isfinite(value).all(), name
        for optimizer in state['optimizer'].values():
            assert optimizer['amp_counters']['stuck'] == 0
        last = os.path.join(runner.work_dir, 'last_checkpoint')
        if os.path.exists(last):
            with open(last) as file:
                assert 'last_finite' not in file.read()
        for module in runner.model.modules():
            assert not module._forward_hooks
            assert not module._forward_pre_hooks

    def test_forward(self, build_runner):
        """The rule that it prints mends the run."""
        runner = build_runner('gan', options(), edit=faulty('forward'))
        with pytest.raises(NonFiniteTrainingError) as error:
            runner.train()
        text = str(error.value)
        assert "'discriminator.fault' (TooMuch) overflows" in text
        self.check_state(runner, text)
        (rule,) = re.findall(r'Mend it with custom_hooks=(\[.*\]) The', text)
        cured = options()
        cured['custom_hooks'] += eval(rule)
        runner = build_runner('gan', cured, edit=faulty('forward'))
        runner.train()
        assert runner.optim_wrapper['discriminator'].skipped_steps == 0

    def test_the_state_is_safe_before_anything_is_watched(
        self, build_runner, monkeypatch
    ):
        """Watching takes memory, which there may not be."""

        def attach(self):
            raise torch.OutOfMemoryError('no memory')

        monkeypatch.setattr(NonFiniteTracer, 'attach', attach)
        runner = build_runner('gan', options(), edit=faulty('forward'))
        with pytest.raises(torch.OutOfMemoryError):
            runner.train()
        (path,) = glob(f'{runner.work_dir}/last_finite_iter_*.pth')
        self.check_state(runner, f'is in {path}')

    def test_generator_through_a_frozen_discriminator(self, build_runner):
        """The discriminator's own step is well, the generator's is not."""
        runner = build_runner('gan', options(), edit=faulty('explode'))
        discriminator = runner.model.discriminator

        def only_for_the_generator(module, args):
            if discriminator.head.weight.requires_grad:
                return (args[0].detach(),)
            return None

        discriminator.fault.register_forward_pre_hook(only_for_the_generator)
        with pytest.raises(NonFiniteTrainingError) as error:
            runner.train()
        assert str(error.value).startswith('generator: ')
        assert "'discriminator.fault' (Explode)" in str(error.value)

    def test_with_accumulation(self, build_runner):
        given = options(iters=60)
        given['optim_wrapper.discriminator.accumulative_counts'] = 3
        runner = build_runner('gan', given, edit=faulty('explode'))
        with pytest.raises(NonFiniteTrainingError, match=r'discriminator\.fa'):
            runner.train()
        # At the end of a window, none of whose gradients are kept.
        assert (runner.iter + 1) % 3 == 0

    def test_a_window_that_was_watched_in_part_is_not_enough(
        self, build_runner
    ):
        """The fault is in each window's first half; the look comes between."""
        given = options(iters=60, dtype='bfloat16', interval=7)
        for name in ('discriminator', 'generator'):
            given[f'optim_wrapper.{name}.accumulative_counts'] = 2
        runner = build_runner('gan', given, edit=faulty('explode'))
        fault = runner.model.discriminator.fault
        original = type(fault).forward

        def only_first_half(x):
            return original(fault, x) if runner.iter % 2 == 0 else x

        fault.forward = only_first_half
        with pytest.raises(NonFiniteTrainingError, match=r'\.fault'):
            runner.train()

    def test_patience(self, build_runner):
        given = options(dtype='bfloat16', patience=7)
        runner = build_runner('gan', given, edit=faulty('explode'))
        with pytest.raises(
            NonFiniteTrainingError, match='8 windows had gradients'
        ):
            runner.train()
        assert runner.iter == 7


class TestGoesOn:
    def test_a_scale_that_is_too_high_is_no_reason(self, build_runner):
        given = options(iters=12)
        given['optim_wrapper.generator.loss_scale'] = dict(init_scale=2.0**40)
        given['optim_wrapper.generator.loss_scale'].update(
            backoff_factor=2.0**-8
        )
        runner = build_runner('gan', given)
        runner.train()
        assert runner.optim_wrapper['generator'].skipped_steps > 0

    def test_what_recovers(self, build_runner, capfd):
        given = {
            'model.bad_iters': tuple(range(4)),
            'optim_wrapper.dtype': 'bfloat16',
            'train_cfg.max_iters': 22,
            'custom_hooks': [
                dict(type='OverflowHook', patience=4, interval=1)
            ],
            'log_level': 'INFO',
        }
        runner = build_runner(options=given)
        runner.train()
        assert runner.iter == 22
        text = ''.join(capfd.readouterr())
        assert text.count('looking for the module behind it') == 1
        assert text.count('finite again') == 1
        assert runner.optim_wrapper.stuck_steps == 0

    def test_what_recovers_after_a_window_that_was_watched_in_part(
        self, build_runner, capfd
    ):
        given = {
            # The look comes inside of the last one of them.
            'model.bad_iters': (0, 2, 4, 6, 60),
            'optim_wrapper.dtype': 'bfloat16',
            'optim_wrapper.accumulative_counts': 2,
            'train_cfg.max_iters': 64,
            'custom_hooks': [
                dict(type='OverflowHook', patience=3, interval=7)
            ],
            'log_level': 'INFO',
        }
        runner = build_runner(options=given)
        runner.train()
        assert runner.optim_wrapper.skipped_steps == 5
        assert 'finite again' in ''.join(capfd.readouterr())

    def test_a_penalty_now_and_then_that_is_never_finite(self, build_runner):
        given = {
            'model.bad_iters': tuple(range(0, 400, 16)),
            'optim_wrapper.dtype': 'float16',
            'optim_wrapper.loss_scale': dict(init_scale=1.0),
            'train_cfg.max_iters': 400,
            'default_hooks.checkpoint.interval': 400,
            'custom_hooks': [dict(type='OverflowHook', patience=5)],
        }
        runner = build_runner(options=given)
        with pytest.raises(NonFiniteTrainingError, match='scale of 1, which'):
            runner.train()
        assert runner.iter < 200

    def test_a_static_scale_that_is_too_high(self, build_runner):
        given = {
            'optim_wrapper.loss_scale': 1e9,
            'train_cfg.max_iters': 40,
            'custom_hooks': [dict(type='OverflowHook', interval=1)],
        }
        runner = build_runner(options=given)
        with pytest.raises(NonFiniteTrainingError) as error:
            runner.train()
        assert "or loss_scale='dynamic', may do" in str(error.value)

    def test_a_run_that_ends_before_it_was_watched(self, build_runner, capfd):
        given = {
            'model.bad_iters': tuple(range(9)),
            'optim_wrapper.dtype': 'bfloat16',
            'train_cfg.max_iters': 5,
            'custom_hooks': [
                dict(type='OverflowHook', patience=5, interval=50)
            ],
        }
        build_runner(options=given).train()
        text = ''.join(capfd.readouterr())
        assert '5 windows were skipped in bfloat16; the run ends' in text

    def test_a_wrapper_that_it_cannot_watch(self, build_runner, capfd):
        given = {
            'optim_wrapper': dict(
                _delete_=True, optimizer=dict(type='SGD', lr=0.1)
            ),
            'custom_hooks': [dict(type='OverflowHook')],
            'log_level': 'INFO',
        }
        build_runner(options=given).train()
        text = ''.join(capfd.readouterr())
        assert 'optim_wrapper (OptimWrapper): steps whatever the' in text

    def test_watching_reports_once_and_goes_on(self, build_runner, capfd):
        given = options(watch=6, patience=100, iters=8)
        runner = build_runner('gan', given, edit=faulty('forward'))
        runner.train()
        assert runner.iter == 8
        text = ''.join(capfd.readouterr())
        assert text.count("Not finite: 'discriminator.fault'") == 1
        assert 'PrecisionHook' in text
        for module in runner.model.modules():
            assert not module._forward_hooks

    def test_a_recoverable_overflow_is_no_warning(self, build_runner, capfd):
        given = options(watch=2, iters=3)
        given['optim_wrapper.discriminator.loss_scale'] = dict(
            init_scale=2.0**30
        )
        runner = build_runner('gan', given)
        runner.train()
        lines = [
            line
            for line in ''.join(capfd.readouterr()).splitlines()
            if 'Not finite' in line
        ]
        assert lines
        for line in lines:
            assert 'INFO' in line
            assert re.search('the work of the scaler: .*discriminator', line)

    @pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
    def test_watching_a_gradient_penalty(self, build_runner, dtype, capfd):
        """Whose second derivative gives some tensors no gradient."""
        given = options(dtype, watch=4, iters=4)
        given['model.disc_regularizers'] = [dict(type='R1')]
        clamp = dict(pattern=r'discriminator\..*', dtype=None, clamp=256.0)
        given['custom_hooks'] += [
            dict(type='PrecisionHook', rules=['normalisation', clamp])
        ]
        runner = build_runner('gan', given)
        runner.train()
        assert 'Not finite' not in ''.join(capfd.readouterr())

    def test_optimizers_in_plain_float32(self, build_runner):
        def plain(cfg):
            cfg.optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))

        given = {'custom_hooks': [dict(type='OverflowHook', interval=1)]}
        runner = build_runner(options=given, edit=plain)
        runner.train()
        assert runner.iter == 4


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(patience=0),
        dict(patience=True),
        dict(watch=-1),
        dict(interval=0),
        dict(interval='x'),
    ],
)
def test_bad_numbers(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=f'{name} must be an int >='):
        OverflowHook(**kwargs)
