import copy
import gc
import io
import logging
import re
import weakref
from contextlib import nullcontext, suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper as MMEngineAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils._python_dispatch import TorchDispatchMode

from mmamp import AmpOptimWrapper, OptimWrapperConstructor
from mmamp.registry import OPTIM_WRAPPERS

DTYPES = {
    'float32': torch.float32,
    'bfloat16': torch.bfloat16,
    'float16': torch.float16,
}


def make_net(seed=0, norm=spectral_norm):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        norm(nn.Conv2d(4, 4, 3, padding=1)),
        nn.Flatten(),
        nn.Linear(4 * 6 * 6, 1),
    )


def batches(num, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(4, 1, 6, 6, generator=generator) for _ in range(num)]


# float16 gradients of these networks overflow at 65536.
SMALL = dict(init_scale=1024.0)


def adam(net):
    # Not fused, as it is by hand.
    return torch.optim.Adam(net.parameters(), lr=1e-2, fused=False)


def train(net, wrapper, data, max_counts=None):
    if max_counts is not None:
        wrapper.initialize_count_status(net, 0, max_counts)
    for x in data:
        with wrapper.optim_context(net):
            loss = net(x).float().pow(2).mean()
        wrapper.update_params(loss)


def state_of(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(actual[key], value), key


class TestAgainstAHandWrittenLoop:
    """50 micro-batches; parameters equal, bit for bit.

    Without spectral norm: its vectors, which the forward pass uses, are those
    from before the window where mmamp skips one, unlike in a bare loop.
    """

    @pytest.mark.parametrize('dtype', DTYPES)
    @pytest.mark.parametrize('counts', [1, 3, 8])
    @pytest.mark.parametrize('clip', [None, 'norm', 'value'])
    def test_parameters(self, dtype, counts, clip):
        data = batches(50)
        net, expected = (make_net(norm=lambda conv: conv) for _ in range(2))
        clip_grad = {
            None: None,
            'norm': dict(max_norm=0.1),
            'value': dict(type='value', clip_value=0.01),
        }[clip]
        wrapper = AmpOptimWrapper(
            adam(net),
            dtype=dtype,
            accumulative_counts=counts,
            clip_grad=clip_grad,
        )
        train(net, wrapper, data, max_counts=len(data))
        self.train_by_hand(expected, DTYPES[dtype], data, counts, clip)
        assert_same(
            dict(net.named_parameters()), dict(expected.named_parameters())
        )

    @staticmethod
    def train_by_hand(net, dtype, data, counts, clip):
        optimizer = adam(net)
        scaler = torch.amp.GradScaler('cpu', enabled=dtype is torch.float16)
        for start in range(0, len(data), counts):
            window = data[start : start + counts]
            for x in window:
                with torch.autocast(
                    'cpu', dtype=dtype, enabled=dtype is not torch.float32
                ):
                    loss = net(x).float().pow(2).mean()
                scaler.scale(
                    loss / len(window) if len(window) > 1 else loss
                ).backward()
            scaler.unscale_(optimizer)
            if clip == 'norm':
                nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            elif clip == 'value':
                nn.utils.clip_grad_value_(net.parameters(), 0.01)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()


class TestNonFiniteWindow:
    @pytest.mark.parametrize('dtype', DTYPES)
    @pytest.mark.parametrize('value', ['inf', '-inf', 'nan'])
    @pytest.mark.parametrize('fused', [False, True])
    @pytest.mark.parametrize('counts', [1, 3])
    def test_leaves_no_trace(self, dtype, value, fused, counts):
        net = make_net()
        wrapper = AmpOptimWrapper(
            torch.optim.Adam(net.parameters(), lr=1e-2, fused=fused),
            loss_scale=SMALL,
            dtype=dtype,
            accumulative_counts=counts,
        )
        train(net, wrapper, batches(counts), max_counts=100)
        before = state_of(net)
        moments = copy.deepcopy(wrapper.optimizer.state_dict()['state'])
        scale = wrapper.loss_scaler.get_scale()
        bad = batches(counts)
        bad[counts // 2] = bad[counts // 2] * float(value)

        train(net, wrapper, bad)

        assert wrapper.step_was_skipped
        assert wrapper.record.skipped == 1
        assert_same(state_of(net), before)
        for i, moment in wrapper.optimizer.state_dict()['state'].items():
            assert_same(moment, moments[i])
        if dtype == 'float16':
            assert wrapper.loss_scaler.get_scale() == scale / 2

        train(net, wrapper, batches(10 * counts))
        assert not wrapper.step_was_skipped
        assert wrapper.record.skipped == 1
        for key, tensor in net.state_dict().items():
            assert torch.isfinite(tensor).all(), key
        assert not torch.equal(net[0].weight, before['0.weight'])

    def test_fused_and_plain_optimizer_agree(self):
        results = []
        for fused in (False, True):
            net = make_net()
            wrapper = AmpOptimWrapper(
                torch.optim.SGD(net.parameters(), lr=1e-2, fused=fused),
                SMALL,
                dtype='float16',
            )
            data = batches(6)
            data[2] = data[2] * float('inf')
            train(net, wrapper, data)
            results.append(
                (state_of(net), wrapper.amp_scalars(), wrapper.state_dict())
            )
        for key, value in results[0][0].items():
            torch.testing.assert_close(results[1][0][key], value)
        assert results[0][1] == pytest.approx(results[1][1])
        for result in results:
            counters = result[2]['amp_counters']
            assert counters == dict(windows=6, skipped=1, stuck=0)

    def test_value_clipping_does_not_hide_an_inf(self):
        net = make_net()
        wrapper = AmpOptimWrapper(
            adam(net), clip_grad=dict(type='value', clip_value=0.1)
        )
        before = state_of(net)
        train(net, wrapper, [batches(1)[0] * float('inf')])
        assert wrapper.step_was_skipped
        assert_same(state_of(net), before)

    def test_buffers_of_a_network_that_only_took_part(self):
        """The whole model's, not only those of the trained network."""
        model = nn.ModuleDict(dict(g=make_net(1), d=make_net(2)))
        wrapper = AmpOptimWrapper(adam(model['d']))
        wrapper.initialize_count_status(model, 0, 10)
        before = state_of(model)
        x = batches(1)[0] * float('inf')
        with wrapper.optim_context(model['d']):
            with torch.no_grad():
                fake = model['g'](x)
            loss = model['d'](x).mean() + fake.mean()
        wrapper.update_params(loss)
        assert_same(state_of(model), before)


@settings(max_examples=40, deadline=None)
@given(
    outcomes=st.lists(
        st.sampled_from([1.0, float('inf'), float('nan')]), max_size=24
    ),
    counts=st.integers(1, 3),
    dtype=st.sampled_from(sorted(DTYPES)),
    optimizer=st.sampled_from(['SGD', 'Adam']),
    fused=st.booleans(),
)
def test_any_sequence_leaves_everything_finite(
    outcomes, counts, dtype, optimizer, fused
):
    """And steps just for the windows that are finite."""
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    wrapper = AmpOptimWrapper(
        getattr(torch.optim, optimizer)(
            net.parameters(), lr=0.01, fused=fused or None
        ),
        dtype=dtype,
        loss_scale=dict(
            init_scale=8.0, growth_interval=1, min_scale=2.0, max_scale=32.0
        ),
        accumulative_counts=counts,
    )
    wrapper.initialize_count_status(net, 0, len(outcomes))
    before = state_of(net)
    scale, good = 8.0, 0
    for i, factor in enumerate(outcomes):
        with wrapper.optim_context(net):
            loss = net(torch.randn(4, 2)).float().mean() * factor
        wrapper.update_params(loss)
        window = outcomes[i // counts * counts : i + 1]
        if len(window) == counts or i + 1 == len(outcomes):
            finite = all(x == 1.0 for x in window)
            good += finite
            scale = min(max(scale * (2 if finite else 0.5), 2.0), 32.0)
            assert wrapper.step_was_skipped == (not finite)
    for value in net.state_dict().values():
        assert value.isfinite().all()
    assert wrapper.record.windows - wrapper.skipped_steps == good
    if dtype == 'float16':
        assert wrapper.loss_scaler.get_scale() == scale
    moved = not torch.equal(net[2].bias, before['2.bias'])
    assert moved == (good > 0)


class TestFinite:
    """What every element is, whatever the norm."""

    @pytest.mark.parametrize('fused', [False, True])
    @pytest.mark.parametrize('dtype', DTYPES)
    @pytest.mark.parametrize(
        ('size', 'clip_grad'),
        [
            (3e19, None),
            (3e19, dict(max_norm=1.0)),
            (1e3, dict(max_norm=1.0, norm_type=16)),
            (3e19, dict(type='value', clip_value=1.0)),
        ],
    )
    def test_finite_gradients_are_stepped(self, size, clip_grad, dtype, fused):
        param = nn.Parameter(torch.zeros(4))
        wrapper = AmpOptimWrapper(
            torch.optim.SGD([param], lr=1e-20, fused=fused),
            dict(init_scale=4.0, growth_interval=1),
            dtype,
            clip_grad=clip_grad,
        )
        for _ in range(3):
            wrapper.update_params((param * size).sum())
        assert wrapper.skipped_steps == 0
        by_norm = clip_grad and 'max_norm' in clip_grad
        step = (
            (0.5 if clip_grad.get('norm_type') != 16 else 4 ** (-1 / 16))
            if (by_norm)
            else (1.0 if clip_grad else size)
        )
        assert float(param[0].detach()) == pytest.approx(
            -3e-20 * step, rel=1e-3
        )

    def test_float16_parameters(self):
        """Their norm is summed up in float32."""
        param = nn.Parameter(torch.zeros(100, dtype=torch.float16))
        wrapper = AmpOptimWrapper(
            torch.optim.SGD([param], lr=1e-6), dtype='float32'
        )
        wrapper.update_params((param.float() * 6e4).sum())
        assert not wrapper.step_was_skipped
        assert wrapper.amp_scalars()['grad_norm'] == pytest.approx(
            6e5, rel=1e-2
        )

    def test_the_scaler_and_the_skip_agree(self):
        """However often: the scale never grows over skipped windows."""
        param = nn.Parameter(torch.zeros(2))
        wrapper = AmpOptimWrapper(
            torch.optim.SGD([param], lr=1e-30),
            dict(init_scale=2.0**20, growth_interval=1),
            'float16',
        )
        scales = []
        for factor in (1e20, 1e38, 1.0, float('nan')):
            before = wrapper.loss_scaler.get_scale()
            wrapper.update_params((param * factor).sum())
            grew = wrapper.loss_scaler.get_scale() > before
            scales.append((wrapper.step_was_skipped, grew))
        assert scales == [
            (False, True),
            (True, False),
            (False, True),
            (True, False),
        ]

    @pytest.mark.parametrize('fused', [False, True])
    @pytest.mark.parametrize('dynamic', [False, True])
    def test_what_overflows_when_a_scale_below_1_is_taken_out(
        self, dynamic, fused
    ):
        param = nn.Parameter(torch.zeros(2))
        scale = 2.0**-10
        wrapper = AmpOptimWrapper(
            torch.optim.SGD([param], lr=0.1, fused=fused),
            dict(init_scale=scale, growth_interval=1) if dynamic else scale,
            'float16',
        )
        for _ in range(2):
            wrapper.update_params((param * 1e20).sum() * 1e19)
        assert wrapper.skipped_steps == wrapper.stuck_steps == 2
        assert param.tolist() == [0, 0]
        assert wrapper.loss_scaler.get_scale() == scale

    @pytest.mark.parametrize('dtype', DTYPES)
    def test_complex_parameters(self, dtype):
        param = nn.Parameter(torch.ones(3, dtype=torch.complex64))
        wrapper = AmpOptimWrapper(
            torch.optim.SGD([param], lr=0.5), SMALL, dtype
        )
        wrapper.update_params(param.abs().square().sum())
        assert torch.equal(
            param.detach(), torch.zeros(3, dtype=torch.complex64)
        )
        wrapper.update_params((param + float('inf')).abs().sum())
        assert wrapper.step_was_skipped

    @pytest.mark.parametrize('dtype', DTYPES)
    @pytest.mark.parametrize(
        'clip_grad',
        [None, dict(max_norm=1.0), dict(type='value', clip_value=0.1)],
    )
    def test_sparse_gradients(self, dtype, clip_grad):
        bag = nn.EmbeddingBag(20, 4, mode='sum', sparse=True)
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(bag.parameters(), lr=0.1),
            SMALL,
            dtype,
            clip_grad=clip_grad,
        )
        before = state_of(bag)['weight']
        with wrapper.optim_context(bag):
            loss = bag(torch.tensor([[1, 2], [2, 3]])).float().square().sum()
        wrapper.update_params(loss)
        assert not wrapper.step_was_skipped
        moved = (bag.weight.detach() - before).abs()
        assert (moved.sum(1) > 0).nonzero().flatten().tolist() == [1, 2, 3]
        if clip_grad and 'clip_value' in clip_grad:
            assert moved.max() <= 0.1 * 0.1 + 1e-6
        elif clip_grad:
            assert moved.norm() <= 0.1 + 1e-5

    @pytest.mark.parametrize('scale', ['dynamic', 512.0])
    def test_error_if_nonfinite(self, scale, mm_log):
        """A dynamic scale lives on what is not finite."""
        net = make_net()
        wrapper = AmpOptimWrapper(
            adam(net),
            scale,
            'float16',
            clip_grad=dict(max_norm=1.0, error_if_nonfinite=True),
        )
        bad = [batches(1)[0] * float('inf')]
        if scale == 'dynamic':
            train(net, wrapper, bad)
            assert wrapper.step_was_skipped
            assert 'error_if_nonfinite=True has no effect' in mm_log()
        else:
            with pytest.raises(RuntimeError, match='error_if_nonfinite'):
                train(net, wrapper, bad)


class TestLossScale:
    def test_forms(self):
        def scaler(loss_scale, dtype='float16'):
            return AmpOptimWrapper(
                adam(make_net()), loss_scale, dtype
            ).loss_scaler

        assert scaler('dynamic').get_scale() == 65536
        assert scaler(512).get_scale() == scaler(512.0).get_scale() == 512
        assert not scaler(512).dynamic
        custom = scaler(dict(init_scale=4.0, growth_interval=3, min_scale=2))
        assert (custom.get_scale(), custom.min_scale) == (4, 2)
        assert not scaler('dynamic', 'bfloat16').is_enabled()
        assert not scaler('dynamic', 'float32').is_enabled()
        assert not scaler(dict(enabled=False)).is_enabled()

    @pytest.mark.parametrize(
        ('loss_scale', 'error', 'match'),
        [
            ('dynamik', ValueError, "'dynamik'.*'dynamic', a number > 0"),
            (-1, ValueError, '-1'),
            (float('nan'), ValueError, 'nan'),
            (None, TypeError, 'NoneType'),
            (True, TypeError, 'bool'),
            (dict(initial=2), ValueError, 'initial.*init_scale.*hysteresis'),
            (dict(growth_factor=0.5), ValueError, 'growth_factor.*0.5'),
            (dict(min_scale=8, init_scale=4), ValueError, 'min_scale'),
            (dict(max_scale=2), ValueError, 'max_scale'),
        ],
    )
    def test_errors(self, loss_scale, error, match):
        with pytest.raises(error, match=match):
            AmpOptimWrapper(adam(make_net()), loss_scale, 'float16')

    def test_static_scale_stays(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net), 512, 'float16')
        train(net, wrapper, [batches(1)[0] * float('inf'), *batches(2)])
        assert wrapper.record.skipped == 1
        assert wrapper.loss_scaler.get_scale() == 512

    def test_is_constant_within_a_window(self):
        net = make_net()
        wrapper = AmpOptimWrapper(
            adam(net),
            dict(init_scale=8.0, growth_interval=1),
            'float16',
            accumulative_counts=3,
        )
        scales = []
        for x in batches(6):
            train(net, wrapper, [x])
            scales.append(wrapper.loss_scaler.get_scale())
        assert scales == [8, 8, 16, 16, 16, 32]

    def test_a_low_precision_loss_is_scaled_in_float32(self):
        net = nn.Linear(2, 1)
        wrapper = AmpOptimWrapper(adam(net), 4096, 'float16')
        before = state_of(net)
        with wrapper.optim_context(net):
            loss = net(torch.ones(2, 2)).sum().half() + 100
        assert loss.dtype is torch.float16
        wrapper.update_params(loss)
        assert not wrapper.step_was_skipped
        assert not torch.equal(net.weight, before['weight'])

    def test_says_that_a_scale_has_no_effect(self, caplog, mm_log):
        AmpOptimWrapper(adam(make_net()), 512, 'bfloat16')
        assert 'loss_scale=512 has no effect in bfloat16' in mm_log()


class TestWindows:
    def test_last_short_window_is_stepped(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net), accumulative_counts=3)
        train(net, wrapper, batches(7), max_counts=7)
        assert wrapper.record.windows == 3
        assert wrapper.inner_count == 7
        assert net[0].weight.grad is None

    def test_loss_is_weighted_by_the_real_length(self):
        wrapper = AmpOptimWrapper(adam(make_net()), accumulative_counts=4)
        wrapper.initialize_count_status(make_net(), 0, 6)
        weights = []
        for _ in range(6):
            weights.append(float(wrapper.scale_loss(torch.tensor(1.0))))
            wrapper._inner_count += 1
        assert weights == [0.25] * 4 + [0.5] * 2

    def test_resumed_inside_a_window(self, mm_log):
        wrapper = AmpOptimWrapper(adam(make_net()), accumulative_counts=4)
        wrapper.initialize_count_status(make_net(), 6, 20)
        assert '6 micro-batches are no multiple of' in mm_log()
        assert float(wrapper.scale_loss(torch.tensor(1.0))) == 0.5

    def test_syncs_gradients_once_a_window(self):
        wrapper = AmpOptimWrapper(adam(make_net()), accumulative_counts=3)
        wrapper.initialize_count_status(make_net(), 0, 7)
        synced = []
        for _ in range(7):
            synced.append(wrapper.should_sync())
            wrapper._inner_count += 1
        assert synced == [False, False, True, False, False, True, True]

    @pytest.mark.parametrize('counts', [0, -1, 1.5, '8', True])
    def test_bad_counts(self, counts):
        with pytest.raises(ValueError, match='accumulative_counts'):
            AmpOptimWrapper(adam(make_net()), accumulative_counts=counts)


class TestScope:
    @pytest.mark.parametrize('dtype', DTYPES)
    def test_updates_inside_of_one_context(self, dtype):
        """The second one runs on the weights that the first one made."""
        losses = []
        for inside in (True, False):
            net = nn.Linear(4, 1, bias=False)
            nn.init.ones_(net.weight)
            wrapper = AmpOptimWrapper(
                torch.optim.SGD(net.parameters(), lr=0.1), SMALL, dtype
            )
            found = []
            outer = wrapper.optim_context(net) if inside else nullcontext()
            with outer:
                for _ in range(3):
                    inner = (
                        nullcontext() if inside else wrapper.optim_context(net)
                    )
                    with inner:
                        loss = (
                            (net(torch.ones(2, 4)).float() - 3).square().mean()
                        )
                    found.append(loss.item())
                    wrapper.update_params(loss)
            losses.append(found)
        assert losses[0] == losses[1]
        assert len(set(losses[0])) == 3

    @pytest.mark.parametrize('inside', [True, False])
    def test_backward_and_step_run_without_autocast(self, inside):
        seen = []

        class Probe(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                seen.append(torch.is_autocast_enabled('cpu'))
                return x.clone()

            @staticmethod
            def backward(ctx, grad):
                seen.append(torch.is_autocast_enabled('cpu'))
                return grad

        net = make_net()
        optimizer = adam(net)
        optimizer.register_step_pre_hook(
            lambda *_: seen.append(torch.is_autocast_enabled('cpu'))
        )
        wrapper = AmpOptimWrapper(optimizer)
        with wrapper.optim_context(net):
            loss = Probe.apply(net(batches(1)[0])).float().mean()
            if inside:
                wrapper.update_params(loss)
        if not inside:
            wrapper.update_params(loss)
        assert seen == [True, False, False]

    @pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
    def test_no_grad_forward_does_not_poison_the_next(self, dtype):
        net = nn.Linear(3, 1)
        wrapper = AmpOptimWrapper(adam(net), SMALL, dtype)
        before = state_of(net)
        with wrapper.optim_context(net):
            with torch.no_grad():
                net(torch.ones(2, 3))
            loss = net(torch.ones(2, 3)).float().sum()
        wrapper.update_params(loss)
        assert not torch.equal(net.weight, before['weight'])

    def test_forward_runs_in_the_dtype(self):
        for name, dtype in DTYPES.items():
            net = nn.Linear(3, 1)
            wrapper = AmpOptimWrapper(adam(net), dtype=name)
            with wrapper.optim_context(net):
                assert net(torch.ones(2, 3)).dtype is dtype

    def test_warns_if_the_context_was_never_entered(self, mm_log):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net))
        for x in batches(2):
            wrapper.update_params(net(x).mean())
        log = mm_log()
        assert log.count('this training is in float32') == 1
        assert 'optim_context(model)' in log

    def test_warns_in_a_loop_of_ones_own_too(self, mm_log):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net))
        wrapper.backward(net(batches(1)[0]).mean())
        wrapper.step()
        assert 'this training is in float32' in mm_log(logging.WARNING)

    def test_no_gradient_is_a_logged_no_op(self, mm_log):
        net, other = make_net(), make_net()
        wrapper = AmpOptimWrapper(adam(net), dtype='float16')
        before = state_of(net)
        for _ in range(2):
            with wrapper.optim_context(net):
                loss = other(batches(1)[0]).float().mean()
            wrapper.update_params(loss)
        assert_same(state_of(net), before)
        assert mm_log().count('no parameter got a gradient') == 1

    def test_manual_calls_as_with_mmengine(self):
        net, expected = make_net(), make_net()
        wrapper = AmpOptimWrapper(adam(net), dtype='float16')
        with wrapper.optim_context(net):
            loss = net(batches(1)[0]).float().mean()
        wrapper.backward(loss)
        wrapper.loss_scaler.unscale_(wrapper.optimizer)
        wrapper.step()
        wrapper.zero_grad()

        reference = AmpOptimWrapper(adam(expected), dtype='float16')
        with reference.optim_context(expected):
            loss = expected(batches(1)[0]).float().mean()
        reference.update_params(loss)
        assert_same(state_of(net), state_of(expected))


class TestHost:
    """Habits of MMEngine's wrapper that other toolboxes rely on."""

    def test_is_an_mmengine_wrapper_without_an_accelerator(self):
        wrapper = OPTIM_WRAPPERS.build(
            dict(type='AmpOptimWrapper', optimizer=adam(make_net()))
        )
        assert isinstance(wrapper, AmpOptimWrapper)
        assert isinstance(wrapper, MMEngineAmpOptimWrapper)
        assert wrapper.cast_dtype is torch.bfloat16  # CPU default
        assert wrapper.inner_count == 0
        assert wrapper.loss_scaler.state_dict() == {}

    def test_takes_them_by_position(self):
        """As MMEngine's wrapper does, and with the optimizer first."""
        optimizer = adam(make_net())
        first = AmpOptimWrapper('dynamic', 'float16', optimizer=optimizer)
        second = AmpOptimWrapper(optimizer, 512.0, 'float16', True)
        third = AmpOptimWrapper(512.0, 'bfloat16', False, optimizer=optimizer)
        assert first.loss_scaler.get_scale() == 65536
        assert second.loss_scaler.get_scale() == 512
        assert third.cast_dtype is torch.bfloat16

    @pytest.mark.parametrize(
        ('args', 'match'),
        [
            ((), 'optimizer must be a torch.optim.Optimizer.*None'),
            ((None, 'float16'), 'optimizer must be'),
            ((512.0, 'float16', True, 3), 'at most the optimizer and'),
        ],
    )
    def test_mistakes_by_position(self, args, match):
        with pytest.raises(TypeError, match=match):
            AmpOptimWrapper(*args)

    def test_an_optimizer_twice(self):
        optimizer = adam(make_net())
        with pytest.raises(TypeError, match='given twice'):
            AmpOptimWrapper(optimizer, optimizer=optimizer)

    def test_subclasses_may_clip_as_they_like(self):
        """By the name that MMEngine has for it."""
        seen = []

        class Mine(AmpOptimWrapper):
            def _clip_grad(self):
                seen.append(float(net[0].bias.grad.norm()))
                super()._clip_grad()
                for group in self.optimizer.param_groups:
                    for param in group['params']:
                        param.grad.zero_()

        net = make_net()
        wrapper = Mine(
            torch.optim.SGD(net.parameters(), lr=1.0),
            SMALL,
            'float16',
            clip_grad=dict(max_norm=1.0),
        )
        before = state_of(net)
        train(net, wrapper, batches(1))
        assert 0 < seen[0] < 10  # unscaled
        assert torch.equal(net[0].weight, before['0.weight'])
        assert not wrapper.step_was_skipped

    @pytest.mark.parametrize('fused', [False, True])
    def test_logs_the_norm_that_it_clips(self, fused):
        """As MMEngine's does, under a train.py without mmamp's hooks."""
        net = make_net()
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(net.parameters(), lr=0.1, fused=fused),
            clip_grad=dict(max_norm=1.0),
        )
        train(net, wrapper, [*batches(2), batches(1)[0] * float('inf')])
        history = wrapper.message_hub.get_scalar('train/grad_norm')
        values, counts = history.data
        assert len(values) == len(counts) == 3
        assert values[-1] == wrapper.amp_scalars()['grad_norm']
        wrapper.name = 'generator'
        train(net, wrapper, batches(1))
        assert 'train/generator.grad_norm' in wrapper.message_hub.log_scalars
        quiet = AmpOptimWrapper(adam(net))
        quiet.name = 'quiet'
        train(net, quiet, batches(1))
        assert 'train/quiet.grad_norm' not in quiet.message_hub.log_scalars

    def test_a_model_that_moves_after_its_optimizer_was_built(self, mm_log):
        """As `model.cuda()` after the optimizer, which torch allows."""
        net = nn.Linear(2, 1)
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(net.parameters(), lr=0.1), dtype='float32'
        )
        net.to('meta')
        param = nn.Parameter(torch.zeros(1, device='meta'))
        wrapper.optimizer.param_groups[0]['params'] = [param]
        # torch has no autocast there.
        with suppress(RuntimeError), wrapper.optim_context(net):
            pass
        assert wrapper.device_type == 'meta'
        assert 'were on cpu when it was built and are on meta now' in mm_log()

    def test_lazy_modules(self):
        net = nn.Sequential(
            nn.LazyConv2d(4, 3),
            nn.LazyBatchNorm2d(),
            nn.Flatten(),
            nn.LazyLinear(1),
        )
        wrapper = AmpOptimWrapper(torch.optim.SGD(net.parameters(), lr=0.01))
        wrapper.initialize_count_status(net, 0, 10)
        train(net, wrapper, batches(2))
        assert wrapper.record.windows == 2
        assert net[1].num_batches_tracked == 2

    def test_takes_mmengines_arguments(self):
        config = dict(max_norm=1.0, type='norm')
        wrapper = AmpOptimWrapper(
            loss_scale='dynamic',
            dtype=torch.float16,
            use_fsdp=True,
            optimizer=adam(make_net()),
            clip_grad=config,
        )
        assert config == dict(max_norm=1.0, type='norm')
        assert wrapper.loss_scaler.is_enabled()

    @pytest.mark.parametrize(
        ('dtype', 'error', 'match'),
        [
            ('half', ValueError, "'half'.*'float16', 'bfloat16'"),
            (torch.float64, ValueError, "'cpu'.*float64.*bfloat16, float16"),
            ('float64', ValueError, "'float64' is unknown.*'bfloat16'"),
            (torch.int8, ValueError, 'int8'),
            (16, TypeError, 'int'),
        ],
    )
    def test_bad_dtype(self, dtype, error, match):
        with pytest.raises(error, match=match):
            AmpOptimWrapper(adam(make_net()), dtype=dtype)

    @pytest.mark.parametrize(
        ('clip_grad', 'error', 'match'),
        [
            (1.0, TypeError, '1.0'),
            ({}, ValueError, 'max_norm'),
            (dict(type='normal', max_norm=1), ValueError, "'norm', 'value'"),
            (dict(type='value', max_norm=1), ValueError, 'clip_value'),
        ],
    )
    def test_bad_clip_grad(self, clip_grad, error, match):
        with pytest.raises(error, match=match):
            AmpOptimWrapper(adam(make_net()), clip_grad=clip_grad)

    def test_repr_shows_dtype_and_scale(self):
        text = repr(AmpOptimWrapper(adam(make_net()), 512, 'float16'))
        assert 'dtype: float16' in text
        assert 'loss_scale: 512.0' in text


class TestState:
    def trained(self, cls=AmpOptimWrapper, **kwargs):
        net = make_net()
        wrapper = cls(adam(net), **kwargs)
        train(net, wrapper, batches(3))
        return net, wrapper

    def test_goes_on_bit_for_bit(self):
        net, wrapper = self.trained(
            dtype='float16',
            loss_scale=dict(init_scale=64.0, growth_interval=2, hysteresis=2),
        )
        other = copy.deepcopy(net)
        resumed = AmpOptimWrapper(
            adam(other),
            dtype='float16',
            loss_scale=dict(init_scale=64.0, growth_interval=2, hysteresis=2),
        )
        resumed.load_state_dict(copy.deepcopy(wrapper.state_dict()))
        assert resumed.loss_scaler.get_scale() == 2 * 64
        for w, n in ((wrapper, net), (resumed, other)):
            train(n, w, [*batches(4, 7), batches(1)[0] * float('inf')])
        assert_same(state_of(other), state_of(net))
        assert (
            resumed.state_dict()['loss_scaler']
            == (wrapper.state_dict()['loss_scaler'])
        )
        assert resumed.amp_scalars() == wrapper.amp_scalars()

    @pytest.mark.parametrize('before', ['plain', *DTYPES])
    @pytest.mark.parametrize('after', ['plain', *DTYPES])
    def test_any_precision_loads_any_other(self, before, after):
        def arguments(name):
            if name == 'plain':
                return dict(cls=OptimWrapper)
            return dict(cls=AmpOptimWrapper, dtype=name)

        net, source = self.trained(**arguments(before))
        state = source.state_dict()
        other, target = self.trained(**arguments(after))
        other.load_state_dict(net.state_dict())
        target.load_state_dict(copy.copy(state))
        first = source.optimizer.state_dict()['state'][0]
        second = target.optimizer.state_dict()['state'][0]
        assert torch.equal(first['exp_avg'], second['exp_avg'])
        train(other, target, batches(2))

    @pytest.mark.parametrize('dtype', DTYPES)
    @pytest.mark.parametrize('bad', [None, 9])
    def test_goes_on_inside_of_a_window(self, dtype, bad):
        """Stopped after 6 of 16 micro-batches, in the second window of 4.

        With ``bad`` the window is skipped after the resume, and its buffers
        go back to where they were before the stop.
        """
        data = batches(16)
        if bad is not None:
            data[bad - 2] = data[bad - 2] * float('inf')

        def wrap(net):
            return AmpOptimWrapper(
                adam(net), SMALL, dtype=dtype, accumulative_counts=4
            )

        net = make_net()
        wrapper = wrap(net)
        train(net, wrapper, data, max_counts=16)

        first = make_net()
        stopped = wrap(first)
        train(first, stopped, data[:6], max_counts=16)
        saved = copy.deepcopy((first.state_dict(), stopped.state_dict()))
        assert saved[1]['window']['inner_count'] == 6

        second = make_net(seed=5)
        resumed = wrap(second)
        second.load_state_dict(saved[0])
        resumed.load_state_dict(saved[1])
        resumed.initialize_count_status(second, 6, 16)
        train(second, resumed, data[6:])
        assert_same(state_of(second), state_of(net))
        assert resumed.skipped_steps == (0 if bad is None else 1)

    def test_a_window_in_another_precision(self):
        nets = [make_net(), make_net()]
        first = AmpOptimWrapper(
            adam(nets[0]), 256.0, dtype='float16', accumulative_counts=2
        )
        train(nets[0], first, batches(1), max_counts=8)
        second = AmpOptimWrapper(
            adam(nets[1]), dtype='float32', accumulative_counts=2
        )
        second.load_state_dict(first.state_dict())
        second.initialize_count_status(nets[1], 1, 8)
        for p, q in zip(*(n.parameters() for n in nets), strict=True):
            torch.testing.assert_close(p.grad, q.grad * 256)

    def test_a_window_of_a_run_without_a_scale(self):
        nets = [make_net(), make_net()]
        first = AmpOptimWrapper(
            adam(nets[0]), dtype='float32', accumulative_counts=2
        )
        train(nets[0], first, batches(1), max_counts=8)
        second = AmpOptimWrapper(
            adam(nets[1]), 256.0, dtype='float16', accumulative_counts=2
        )
        second.load_state_dict(first.state_dict())
        second.initialize_count_status(nets[1], 1, 8)
        for p, q in zip(*(n.parameters() for n in nets), strict=True):
            torch.testing.assert_close(p.grad * 256, q.grad)

    def test_a_window_of_another_length_is_dropped_and_it_says_so(
        self, mm_log
    ):
        net = make_net()
        first = AmpOptimWrapper(adam(net), accumulative_counts=4)
        train(net, first, batches(2), max_counts=8)
        state = first.state_dict()
        net.zero_grad()
        second = AmpOptimWrapper(adam(net), accumulative_counts=3)
        second.load_state_dict(state)
        second.initialize_count_status(net, 2, 8)
        assert all(p.grad is None for p in net.parameters())
        assert 'window of 4 micro-batches, which is dropped' in mm_log()

    def test_a_window_goes_on_though_nobody_says_where_the_run_is(self):
        """As in a model of one's own with several optimizers."""
        data = batches(4)
        whole, part, rest = make_net(), make_net(), make_net()
        for net in (whole, part, rest):
            net.wrapper = AmpOptimWrapper(
                adam(net), dtype='float32', accumulative_counts=4
            )
        train(whole, whole.wrapper, data)
        train(part, part.wrapper, data[:2])
        rest.load_state_dict(part.state_dict())
        rest.wrapper.load_state_dict(part.wrapper.state_dict())
        train(rest, rest.wrapper, data[2:])
        assert rest.wrapper.inner_count == 4
        assert_same(state_of(rest), state_of(whole))

    def test_a_window_at_another_place_is_dropped_and_it_says_so(self, mm_log):
        net = make_net()
        wrapper = AmpOptimWrapper(
            adam(net), dtype='float32', accumulative_counts=4
        )
        train(net, wrapper, batches(2))
        other = AmpOptimWrapper(
            adam(net), dtype='float32', accumulative_counts=4
        )
        other.load_state_dict(wrapper.state_dict())
        other.initialize_count_status(net, 8, 16)
        text = mm_log(logging.WARNING)
        assert 'the run is at micro-batch 8 now and was 2' in text

    def test_a_window_that_the_end_of_the_run_has_closed(self, mm_log):
        """A longer run goes on with a window of its own."""
        net = make_net()
        wrapper = AmpOptimWrapper(
            adam(net), dtype='float32', accumulative_counts=4
        )
        train(net, wrapper, batches(6), max_counts=6)
        assert wrapper.record.windows == 2
        assert 'window' not in wrapper.state_dict()
        longer = AmpOptimWrapper(
            adam(net), dtype='float32', accumulative_counts=4
        )
        longer.load_state_dict(wrapper.state_dict())
        longer.initialize_count_status(net, 6, 12)
        assert longer.scale_loss(torch.tensor(2.0)) == 1
        assert 'is dropped' not in mm_log()

    def test_a_scale_that_is_not_needed_any_more(self, mm_log):
        net = make_net()
        before = AmpOptimWrapper(adam(net), dtype='float16', loss_scale=SMALL)
        after = AmpOptimWrapper(adam(net), dtype='bfloat16')
        after.load_state_dict(before.state_dict())
        text = 'holds a loss scale (1024), which bfloat16 does not need'
        assert text in mm_log()

    def test_between_windows_there_is_nothing_to_keep(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net), accumulative_counts=4)
        train(net, wrapper, batches(4), max_counts=8)
        assert 'window' not in wrapper.state_dict()

    def test_loading_leaves_the_callers_dict_alone(self):
        net = make_net()
        groups = [
            dict(params=net[0].parameters()),
            dict(params=net[-1].parameters(), lr=0.1),
        ]
        wrapper = AmpOptimWrapper(
            torch.optim.Adam(groups, lr=0.2), dtype='float16'
        )
        state = wrapper.state_dict()
        keys = set(state)
        assert {'loss_scaler', 'base_param_settings'} < keys
        wrapper.load_state_dict(state)
        assert set(state) == keys
        assert state['loss_scaler']['scale'] == 65536

    def test_says_that_the_scale_starts_anew(self, mm_log):
        _, source = self.trained(dtype='bfloat16')
        _, target = self.trained(dtype='float16')
        target.load_state_dict(source.state_dict())
        assert 'no loss scale' in mm_log()

    def test_settings_are_the_configs_not_the_checkpoints(self):
        _, source = self.trained(dtype='float16')
        target = AmpOptimWrapper(
            adam(make_net()),
            dict(growth_interval=7, max_scale=1024.0, init_scale=2.0),
            'float16',
        )
        target.load_state_dict(source.state_dict())
        assert target.loss_scaler.get_growth_interval() == 7
        assert target.loss_scaler.get_scale() == 1024


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('foreach', [None, True, False])
@pytest.mark.parametrize('kind', ['norm', 'value'])
def test_clips_many_at_once_or_one_by_one(kind, foreach):
    largest = 'max_norm' if kind == 'norm' else 'clip_value'
    net = nn.Linear(2, 1)
    expected = copy.deepcopy(net)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=1.0, foreach=False),
        dtype='float32',
        clip_grad={'type': kind, largest: 0.5, 'foreach': foreach},
    )
    with Operations() as operations:
        wrapper.update_params(net(torch.tensor([[2.0, -3.0]])).sum())
    at_once = {'_foreach_mul_', '_foreach_clamp_min_'} & operations.names
    assert bool(at_once) is (kind == 'norm' if foreach is None else foreach)
    expected(torch.tensor([[2.0, -3.0]])).sum().backward()
    clip = getattr(nn.utils, f'clip_grad_{kind}_')
    clip(expected.parameters(), 0.5)
    for param, other in zip(
        net.parameters(), expected.parameters(), strict=True
    ):
        torch.testing.assert_close(param.detach(), other - other.grad)


def test_reports_counters_and_the_last_finite_norm():
    net = make_net()
    wrapper = AmpOptimWrapper(adam(net), SMALL, 'float16')
    assert wrapper.amp_scalars() == dict(skipped_steps=0, loss_scale=1024)
    good = batches(1)[0]
    train(net, wrapper, [good])
    norm = wrapper.amp_scalars()['grad_norm']
    assert 0 < norm < float('inf')
    train(net, wrapper, [good * float('nan')])
    assert wrapper.amp_scalars() == dict(
        skipped_steps=1, grad_norm=norm, loss_scale=512
    )


def test_names_itself_in_the_log(mm_log):
    net = make_net()
    wrapper = AmpOptimWrapper(adam(net))
    wrapper.name = 'generator'
    wrapper.update_params(net(batches(1)[0]).mean())
    assert "AmpOptimWrapper 'generator'" in mm_log(logging.WARNING)


class TestWindowsOfAnyLoop:
    def test_gradients_that_are_dropped_begin_a_new_window(self):
        """By the wrapper's zero_grad, and by the optimizer's own."""
        for drop in ('wrapper', 'optimizer'):
            net = make_net()
            wrapper = AmpOptimWrapper(
                torch.optim.SGD(net.parameters(), lr=0.1),
                accumulative_counts=4,
            )
            train(net, wrapper, batches(3))
            (wrapper if drop == 'wrapper' else wrapper.optimizer).zero_grad()
            assert wrapper.record.windows == 0
            train(net, wrapper, batches(1))
            assert wrapper.record.windows == 1
            assert wrapper.window_state() is None

    def test_the_nan_of_the_first_of_two_backward_passes(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net))
        before = state_of(net)
        for factor in (float('nan'), 1):
            with wrapper.optim_context(net):
                loss = net(batches(1)[0] * factor).float().mean()
            wrapper.backward(loss)
        wrapper.step()
        wrapper.zero_grad()
        assert_same(state_of(net), before)

    def test_a_skip_of_one_network_leaves_the_others_updates(self):
        model = nn.ModuleDict(dict(g=make_net(1), d=make_net(2)))
        wrappers = {
            key: AmpOptimWrapper(
                adam(model[key]), accumulative_counts=1 if key == 'g' else 8
            )
            for key in 'gd'
        }
        for wrapper in wrappers.values():
            wrapper.initialize_count_status(model, 0, -1)
        for i, x in enumerate(batches(8)):
            train(
                model['d'],
                wrappers['d'],
                [x * (float('inf') if i == 6 else 1)],
            )
            if i < 7:
                train(model['g'], wrappers['g'], [x])
        assert wrappers['d'].step_was_skipped
        assert model['g'][1].num_batches_tracked == 7
        assert model['d'][1].num_batches_tracked == 0

    @pytest.mark.parametrize('updates', [2, 3])
    def test_several_updates_in_an_iteration(self, updates):
        """The end of the run is known, and the last window is stepped."""
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net), accumulative_counts=4)
        hub = wrapper.message_hub
        hub.update_info('max_iters', 9)
        hub.update_info('iter', 0)
        wrapper.initialize_count_status(net, 0, 9)
        windows = []
        for i in range(9):
            hub.update_info('iter', i)
            for _ in range(updates):
                train(net, wrapper, batches(1))
                windows.append(wrapper.record.windows)
        assert windows == [
            -(-n // 4) if n == 9 * updates else n // 4
            for n in range(1, 9 * updates + 1)
        ]
        assert wrapper.window_state() is None

    def test_built_before_its_run(self):
        """What says where the run is came after the wrapper."""
        net = make_net()
        wrapper = AmpOptimWrapper(
            adam(net), accumulative_counts=4, clip_grad=dict(max_norm=1.0)
        )
        before = wrapper.message_hub
        before.update_info('max_iters', 9)
        before.update_info('iter', 3)
        hub = MessageHub.get_instance('a run')
        hub.update_info('max_iters', 9)
        wrapper.initialize_count_status(net, 0, 9)
        for i in range(9):
            hub.update_info('iter', i)
            for _ in range(2):
                train(net, wrapper, batches(1))
        assert wrapper.record.windows == 5
        assert wrapper.message_hub is hub
        assert 'train/grad_norm' in hub.log_scalars
        assert 'train/grad_norm' not in before.log_scalars

    def test_several_updates_in_an_iteration_of_a_run_of_few(self):
        """They are found out in a window that has begun."""
        param = nn.Parameter(torch.zeros(6))
        wrapper = AmpOptimWrapper(
            torch.optim.SGD([param], lr=1.0),
            dtype='float32',
            accumulative_counts=4,
        )
        hub = wrapper.message_hub
        hub.update_info('max_iters', 3)
        hub.update_info('iter', 0)
        wrapper.initialize_count_status(nn.Module(), 0, 3)
        for i in range(6):
            hub.update_info('iter', i // 2)
            wrapper.update_params(-param[i])
            assert wrapper.record.windows == (i + 1) // 4 + (i == 5)
        weights = [1 / 4] * 4 + [1 / 2] * 2
        torch.testing.assert_close(param.detach(), torch.tensor(weights))

    @pytest.mark.parametrize('stop', range(1, 9))
    @pytest.mark.parametrize('counted', ['iterations', 'micro-batches'])
    def test_several_updates_in_an_iteration_go_on(self, stop, counted):
        """From any iteration, whoever says where the run is."""

        def build(net):
            wrapper = AmpOptimWrapper(
                torch.optim.SGD(net.parameters(), lr=0.1),
                dtype='float32',
                accumulative_counts=4,
            )
            wrapper.message_hub.update_info('max_iters', 9)
            return wrapper

        def iterate(net, wrapper, iterations):
            for i in iterations:
                wrapper.message_hub.update_info('iter', i)
                generator = torch.Generator().manual_seed(i)
                for x in torch.randn(2, 4, 3, generator=generator):
                    with wrapper.optim_context(net):
                        loss = net(x).square().mean()
                    wrapper.update_params(loss)

        torch.manual_seed(0)
        net, other = nn.Linear(3, 1), nn.Linear(3, 1)
        wrapper = build(net)
        wrapper.initialize_count_status(net, 0, 9)
        iterate(net, wrapper, range(stop))
        saved = copy.deepcopy((net.state_dict(), wrapper.state_dict()))
        iterate(net, wrapper, range(stop, 9))
        resumed = build(other)
        other.load_state_dict(saved[0])
        resumed.load_state_dict(saved[1])
        resumed.initialize_count_status(
            other, stop if counted == 'iterations' else 2 * stop, 9
        )
        assert resumed.inner_count == 2 * stop
        iterate(other, resumed, range(stop, 9))
        assert_same(state_of(other), state_of(net))
        assert resumed.record.windows == wrapper.record.windows == 5

    def test_a_window_that_nobody_has_taken_up_yet_is_saved_again(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net), accumulative_counts=4)
        train(net, wrapper, batches(2))
        state = wrapper.state_dict()
        other = AmpOptimWrapper(adam(make_net()), accumulative_counts=4)
        other.load_state_dict(state)
        again = other.state_dict()['window']
        assert again['inner_count'] == 2
        for one, two in zip(
            again['grads'], state['window']['grads'], strict=True
        ):
            assert torch.equal(one, two)

    @pytest.mark.parametrize('dtype', DTYPES)
    def test_a_window_of_sparse_gradients_goes_on(self, dtype):
        def build():
            torch.manual_seed(0)
            bag = nn.EmbeddingBag(20, 4, mode='sum', sparse=True)
            wrapper = AmpOptimWrapper(
                torch.optim.SparseAdam(bag.parameters(), lr=0.1),
                SMALL,
                dtype,
                accumulative_counts=2,
            )
            wrapper.initialize_count_status(bag, 0, 4)
            return bag, wrapper

        def update(bag, wrapper, rows):
            with wrapper.optim_context(bag):
                loss = bag(torch.tensor(rows)).float().square().sum()
            wrapper.update_params(loss)

        bag, wrapper = build()
        update(bag, wrapper, [[1, 2], [2, 3]])
        file = io.BytesIO()
        torch.save(wrapper.state_dict(), file)
        file.seek(0)
        other, resumed = build()
        resumed.load_state_dict(torch.load(file, weights_only=True))
        resumed.initialize_count_status(other, 1, 4)
        for net, found in ((bag, wrapper), (other, resumed)):
            update(net, found, [[4, 2]])
            assert found.record.windows == 1
        assert torch.equal(bag.weight, other.weight)


class TestOddMoments:
    def test_a_forward_pass_that_raises_leaves_nothing(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net))
        before = state_of(net)

        def spoil():
            with wrapper.optim_context(net):
                net(batches(1)[0] * float('inf'))
                raise RuntimeError('out of memory')

        with pytest.raises(RuntimeError, match='out of memory'):
            spoil()
        assert torch.equal(net[1].running_mean, before['1.running_mean'])
        train(net, wrapper, batches(2))
        assert wrapper.skipped_steps == 0
        for value in net.state_dict().values():
            assert value.isfinite().all()

    def test_a_model_inside_of_anothers_context(self):
        outer, inner = make_net(1), make_net(2)
        wrapper = AmpOptimWrapper(
            torch.optim.SGD([*outer.parameters(), *inner.parameters()], lr=0.1)
        )
        before = state_of(inner)
        (x,) = batches(1)
        with wrapper.optim_context(outer):
            loss = outer(x).float().mean()
            with wrapper.optim_context(inner):
                loss = loss + inner(x * float('inf')).float().mean()
        wrapper.update_params(loss)
        assert wrapper.step_was_skipped
        assert_same(state_of(inner), before)

    def test_many_forward_passes_of_one_loss(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net))
        before, losses = state_of(net), []
        for x in batches(12):
            with wrapper.optim_context(net):
                losses.append(net(x).float().mean())
        wrapper.update_params(sum(losses) * float('inf'))
        assert wrapper.step_was_skipped
        assert_same(state_of(net), before)

    def test_two_updates_of_two_forward_passes_of_one_context(self):
        """The first is finite, and its step comes before the second."""
        net = make_net(norm=lambda conv: conv)
        # What backward passes need of the network stays as it is.
        net.requires_grad_(False)
        bias = net[-1].bias.requires_grad_()
        wrapper = AmpOptimWrapper(torch.optim.SGD([bias], lr=0.1))
        good, bad = batches(2)
        with wrapper.optim_context(net):
            first = net(good).float().mean()
            second = net(bad * float('inf')).float().mean()
        wrapper.backward(first)
        wrapper.step()
        wrapper.backward(second * float('nan'))
        wrapper.step()
        assert wrapper.step_was_skipped
        for value in net.state_dict().values():
            assert value.isfinite().all()

    def test_a_micro_batch_that_does_not_reach_the_network(self):
        """It is one of the window all the same."""
        net, other = nn.Linear(1, 1, bias=False), nn.Linear(1, 1)
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(net.parameters(), lr=1.0),
            dtype='float32',
            accumulative_counts=2,
        )
        before = net.weight.item()
        for used in (other, net):
            with wrapper.optim_context(net):
                loss = used(torch.ones(1, 1)).sum()
            wrapper.update_params(loss)
        assert wrapper.record.windows == 1
        assert net.weight.item() == pytest.approx(before - 0.5)

    @pytest.mark.parametrize('fused', [False, True])
    def test_gradients_made_by_hand(self, fused, mm_log):
        """They have no scale in them, and are stepped as they are."""
        param = nn.Parameter(torch.zeros(1))
        wrapper = AmpOptimWrapper(
            torch.optim.SGD([param], lr=1.0, fused=fused), 512.0, 'float16'
        )
        (param * 2).sum().backward()
        wrapper.step()
        assert param.item() == -2
        assert 'taken as unscaled' in mm_log(logging.WARNING)
        wrapper.zero_grad()
        wrapper.loss_scaler.scale((param * 2).sum()).backward()
        wrapper.step()
        assert param.item() == -4

    def test_a_state_that_is_loaded_inside_of_a_window(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net), accumulative_counts=2)
        state = copy.deepcopy(wrapper.state_dict())
        train(net, wrapper, batches(1))
        wrapper.load_state_dict(state)
        assert all(p.grad is None for p in net.parameters())
        assert wrapper.window_state() is None

    def test_gradients_that_were_loaded_and_dropped(self):
        net, other = make_net(), make_net()
        wrapper = AmpOptimWrapper(adam(net), accumulative_counts=2)
        train(net, wrapper, batches(1))
        resumed = AmpOptimWrapper(adam(other), accumulative_counts=2)
        resumed.load_state_dict(wrapper.state_dict())
        resumed.zero_grad()
        assert not resumed.is_in_window
        with resumed.optim_context(other):
            pass
        assert all(p.grad is None for p in other.parameters())

    def test_an_optimizer_that_refuses_a_state_has_changed_nothing(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net), SMALL, 'float16')
        state = copy.deepcopy(wrapper.state_dict())
        state['loss_scaler']['scale'] = 2.0
        state['param_groups'] *= 2
        with pytest.raises(ValueError, match='parameter groups'):
            wrapper.load_state_dict(state)
        assert wrapper.loss_scaler.get_scale() == 1024

    def test_a_copy_of_wrappers_that_share_a_scaler(self):
        nets = nn.ModuleDict(dict(a=nn.Linear(1, 1), b=nn.Linear(1, 1)))
        entry = dict(
            type='mmamp.AmpOptimWrapper',
            dtype='float16',
            loss_scaler='shared',
            loss_scale=dict(init_scale=8.0, growth_interval=1),
            optimizer=dict(type='SGD', lr=0.0),
        )
        wrappers = OptimWrapperConstructor(dict(a=entry, b=entry))(nets)
        nets, wrappers = copy.deepcopy((nets, wrappers))
        for name in 'abab':
            wrappers[name].update_params(nets[name](torch.ones(1, 1)).sum())
        assert wrappers['a'].loss_scaler.get_scale() == 32

    def test_no_modules_are_kept(self):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net))
        for x in batches(3):
            both = nn.ModuleList([net])
            with wrapper.optim_context(both):
                loss = net(x).float().mean()
            wrapper.update_params(loss)
        seen = weakref.ref(both)
        wrapper.zero_grad()
        del both
        gc.collect()
        assert seen() is None


class TestGuards:
    def test_parameters_that_thaw(self, mm_log):
        """They belong to no optimizer, and somebody has to say so."""
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        net[0].requires_grad_(False)
        wrapper = OptimWrapperConstructor(
            dict(
                type='mmamp.AmpOptimWrapper',
                modules=['.*'],
                optimizer=dict(type='SGD', lr=0.1),
            )
        )(net)

        def update():
            with wrapper.optim_context(net):
                loss = net(torch.ones(2, 2)).float().sum()
            wrapper.update_params(loss)

        update()
        assert 'requires_grad=True' not in mm_log(logging.WARNING)
        net[0].requires_grad_(True)
        update()
        update()
        text = mm_log(logging.WARNING)
        assert text.count('2 parameters that were frozen') == 1
        assert '0.weight, 0.bias' in text

    def test_own_autocast_around_backward(self, mm_log):
        net, (x,) = make_net(), batches(1)
        wrapper = AmpOptimWrapper(adam(net))
        for _ in range(2):
            with torch.autocast('cpu', dtype=torch.bfloat16):
                with wrapper.optim_context(net):
                    loss = net(x).float().mean()
                wrapper.update_params(loss)
        assert mm_log(logging.WARNING).count('torch.autocast of your own') == 1

    @pytest.mark.parametrize('inside', [True, False])
    def test_no_warning_where_it_is_mmamps(self, inside, mm_log):
        net, (x,) = make_net(), batches(1)
        wrapper = AmpOptimWrapper(adam(net))
        with wrapper.optim_context(net):
            loss = net(x).float().mean()
            if inside:
                wrapper.update_params(loss)
        if not inside:
            wrapper.update_params(loss)
        assert mm_log(logging.WARNING) == ''

    def test_gradients_of_another_wrapper(self, mm_log):
        """The generator's step went through a discriminator not frozen."""
        net, other = make_net(), nn.Linear(36, 36)
        wrapper, generator = (
            AmpOptimWrapper(adam(net)),
            AmpOptimWrapper(adam(other)),
        )
        x = torch.ones(2, 36)
        for _ in range(2):
            with generator.optim_context(other):
                loss = net(other(x).view(2, 1, 6, 6)).float().mean()
            generator.update_params(loss)
            train(net, wrapper, batches(1))
        log = mm_log(logging.WARNING)
        assert log.count('hold gradients that it did not make') == 1
        assert 'requires_grad_(False)' in log

    @pytest.mark.parametrize('zero_kwargs', [{}, dict(set_to_none=False)])
    def test_no_warning_for_its_own(self, zero_kwargs, mm_log):
        net = make_net()
        wrapper = AmpOptimWrapper(adam(net), accumulative_counts=2)
        wrapper.initialize_count_status(net, 0, 8)
        for x in batches(8):
            with wrapper.optim_context(net):
                loss = net(x).float().mean()
            wrapper.update_params(loss, zero_kwargs=zero_kwargs)
        # Two losses in one update, by hand.
        for x in batches(2):
            with wrapper.optim_context(net):
                loss = net(x).float().mean()
            wrapper.backward(loss)
        wrapper.step()
        wrapper.zero_grad()
        assert mm_log(logging.WARNING) == ''


class TestSynchronisations:
    """What would wait for a device: reading a tensor's value."""

    class Count(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.reads = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten._local_scalar_dense.default:
                self.reads += 1
            return func(*args, **(kwargs or {}))

    @pytest.mark.parametrize('dtype', DTYPES)
    @pytest.mark.parametrize(('fused', 'expected'), [(True, 0), (False, 1)])
    @pytest.mark.parametrize('bad', [None, 1])
    def test_one_a_window_none_if_fused(self, dtype, fused, expected, bad):
        net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, fused=fused)
        wrapper = AmpOptimWrapper(
            optimizer,
            dtype=dtype,
            accumulative_counts=2,
            clip_grad=dict(max_norm=1.0),
        )
        wrapper.initialize_count_status(net, 0, 8)
        with self.Count() as count:
            for i in range(8):
                with wrapper.optim_context(net):
                    loss = net(torch.randn(3, 4)).float().sum()
                wrapper.update_params(loss * (float('inf') if i == bad else 1))
            reads = count.reads
        assert reads <= 4 * expected + (bad is not None and not fused)
        assert reads >= 4 * expected
        assert wrapper.skipped_steps == (bad is not None)


@pytest.mark.parametrize(
    ('arguments', 'error'),
    [
        (dict(clip_grad=[]), TypeError),
        (dict(loss_scale='unknown'), ValueError),
        (dict(dtype='float64'), ValueError),
    ],
)
def test_differs_from_mmengine_in_errors(arguments, error):
    """As the table in public_api.md says."""
    (value,) = arguments.values()
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(error, match=re.escape(str(value))):
        AmpOptimWrapper(optimizer=optimizer, **arguments)


def test_differs_from_mmengine_in_its_state():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    wrapper = AmpOptimWrapper(optimizer=optimizer, dtype='float32')
    bare = optimizer.state_dict()
    assert set(wrapper.state_dict()) - set(bare) == {
        'loss_scaler',
        'amp_counters',
    }
    wrapper.load_state_dict(bare)
