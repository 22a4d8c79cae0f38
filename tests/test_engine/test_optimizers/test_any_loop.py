"""Loops of any order, beside a small model of what they should come to.

The reference runs the same operations in plain torch and keeps a whole copy
of what a skipped window has to undo.
"""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.checkpoint import checkpoint

from mmamp import AmpOptimWrapper, OptimWrapperConstructor

NAMES = ('a', 'b', 'c')
SCALE = dict(init_scale=64.0, growth_interval=2, min_scale=2.0)


class Net(nn.Module):
    """BatchNorm, spectral norm, and a buffer that its first batch makes."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layer = spectral_norm(nn.Linear(3, 4))
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        if not hasattr(self, 'seen'):
            self.register_buffer('seen', torch.zeros(()))
        self.seen.add_(x.detach().mean())
        return self.head(self.norm(self.layer(x)))


class Reference:
    """One network, in plain torch."""

    def __init__(self, net, counts, scaler, has_scale):
        self.net, self.counts, self.scaler = net, counts, scaler
        self.has_scale = has_scale
        self.optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        self.before = None  # the buffers from before the window
        self.seen = {}  # the last that were finite, of passes for nothing
        self.scale = 1.0
        self.inner = self.first = self.micro = 0
        self.windows = self.skipped = 0
        self.average = [p.detach().clone() for p in net.parameters()]

    def buffers(self):
        return {k: v.clone() for k, v in self.net.named_buffers()}

    def last_finite(self):
        return {
            name: torch.where(
                value.isfinite(),
                value,
                self.seen.get(name, torch.zeros(())) if self.seen else value,
            )
            for name, value in self.net.named_buffers()
        }

    def look(self, x, dtype):
        """Run it for nothing."""
        self.seen = self.last_finite()
        low = dtype is not torch.float32
        with torch.autocast('cpu', dtype=dtype, enabled=low):
            self.net(x)

    def forward(self, x, dtype):
        if self.before is None:
            self.before, self.seen = self.last_finite(), {}
        if not self.micro:
            self.first = self.inner
        low = dtype is not torch.float32
        with torch.autocast('cpu', dtype=dtype, enabled=low):
            return self.net(x).float().mean()

    def length(self):
        return self.counts - self.first % self.counts

    def backward(self, loss):
        if not self.micro:
            self.scale = self.scaler.scale if self.has_scale else 1.0
        if self.length() > 1:
            loss = loss / self.length()
        (loss * self.scale).backward()
        self.micro += 1
        self.inner += 1

    def is_complete(self):
        return self.micro >= self.length()

    def step(self):
        grads = [p.grad for p in self.net.parameters() if p.grad is not None]
        finite = all(bool(g.isfinite().all()) for g in grads)
        for grad in grads:
            grad.div_(self.scale)
        self.windows += 1
        if finite:
            self.optimizer.step()
            for mean, param in zip(
                self.average, self.net.parameters(), strict=True
            ):
                mean.lerp_(param.detach(), 0.1)
        else:
            self.skipped += 1
            self.undo()
        if self.has_scale:
            self.scaler.end(self, finite)
        self.close()

    def undo(self):
        now = dict(self.net.named_buffers())
        for name, value in now.items():
            value.copy_(self.before.get(name, torch.zeros(())))

    def close(self):
        self.before, self.micro = None, 0
        self.optimizer.zero_grad()

    def drop(self):
        """By zero_grad; what is not finite goes."""
        if self.micro:
            for name, value in self.net.named_buffers():
                if value.is_floating_point():
                    old = self.before.get(name, torch.zeros(()))
                    value.copy_(torch.where(value.isfinite(), value, old))
            self.close()
        self.optimizer.zero_grad()


class ReferenceScaler:
    """The scale of one network or of all of them."""

    def __init__(self):
        self.scale, self.good = 64.0, 0
        self.members, self.ended, self.bad = [], set(), False

    def end(self, member, finite):
        found = not finite and member.scale <= self.scale
        if found:
            self.scale, self.good = max(self.scale / 2, 2.0), 0
        self.bad |= found
        self.ended.add(member)
        if len(self.ended) < len(self.members):
            return
        if not self.bad:
            self.good += 1
            if self.good == 2:
                self.scale, self.good = self.scale * 2, 0
        self.ended, self.bad = set(), False


def build(num, counts, dtype, shared):
    nets = nn.ModuleDict({NAMES[i]: Net(i) for i in range(num)})
    entry = dict(
        type='mmamp.AmpOptimWrapper',
        dtype=dtype,
        optimizer=dict(type='SGD', lr=0.05),
    )
    if dtype == 'float16':
        entry['loss_scale'] = SCALE
    if shared:
        entry['loss_scaler'] = 'shared'
    cfg = {
        NAMES[i]: dict(entry, accumulative_counts=counts[i])
        for i in range(num)
    }
    return nets, OptimWrapperConstructor(cfg)(nets)


def reference(num, counts, dtype, shared):
    scalers = [ReferenceScaler() for _ in range(1 if shared else num)]
    found = []
    for i in range(num):
        scaler = scalers[0 if shared else i]
        found.append(Reference(Net(i), counts[i], scaler, dtype == 'float16'))
        scaler.members.append(found[-1])
    return found


operations = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *('update', 'update', 'update', 'backward', 'step'),
                *('zero', 'save', 'look'),
            ]
        ),
        st.integers(0, 2),
        st.sampled_from([1.0, 1.0, 1.0, float('inf'), float('nan')]),
        st.booleans(),
    ),
    min_size=4,
    max_size=24,
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(
    num=st.integers(1, 3),
    counts=st.tuples(*[st.integers(1, 3)] * 3),
    dtype=st.sampled_from(['float32', 'float16']),
    shared=st.booleans(),
    done=operations,
)
def test_any_order(num, counts, dtype, shared, done):
    shared = shared and num > 1
    nets, wrappers = build(num, counts, dtype, shared)
    expected = reference(num, counts, dtype, shared)
    averages = [
        [p.detach().clone() for p in nets[NAMES[i]].parameters()]
        for i in range(num)
    ]
    for index, (what, which, factor, inside) in enumerate(done):
        which %= num
        name, model = NAMES[which], expected[which]
        net, wrapper = nets[name], wrappers[name]
        generator = torch.Generator().manual_seed(index)
        x = torch.randn(4, 3, generator=generator) * factor
        windows = wrapper.record.windows
        if what in ('update', 'backward'):
            loss = model.forward(x, getattr(torch, dtype))
            model.backward(loss)
            if what == 'update' and model.is_complete():
                model.step()

            def finish(loss, wrapper=wrapper, what=what):
                if what == 'update':
                    wrapper.update_params(loss)
                else:
                    wrapper.backward(wrapper.scale_loss(loss))

            with wrapper.optim_context(net):
                loss = net(x).float().mean()
                if inside:
                    finish(loss)
            if not inside:
                finish(loss)
        elif what == 'look' and not model.micro and hasattr(net, 'seen'):
            model.look(x, getattr(torch, dtype))
            with wrapper.optim_context(net):
                net(x)
        elif what == 'step' and model.micro:
            model.step()
            wrapper.step()
            wrapper.zero_grad()
        elif what == 'zero':
            model.drop()
            wrapper.zero_grad()
        elif what == 'save':
            nets, wrappers = saved_and_loaded(
                nets, wrappers, (num, counts, dtype, shared)
            )
            wrapper = wrappers[name]
            for model in expected:
                model.seen = {}
        if wrapper.record.windows > windows and not wrapper.step_was_skipped:
            for mean, param in zip(
                averages[which], nets[name].parameters(), strict=True
            ):
                mean.lerp_(param.detach(), 0.1)
        check(nets, wrappers, expected, averages, dtype)


def saved_and_loaded(nets, wrappers, arguments):
    """Go on in another process, which knows what was saved."""
    state = copy.deepcopy((nets.state_dict(), wrappers.state_dict()))
    inner_counts = {name: w.inner_count for name, w in wrappers.items()}
    late = {name for name, net in nets.items() if hasattr(net, 'seen')}
    nets, wrappers = build(*arguments)
    for name in late:
        nets[name].register_buffer('seen', torch.zeros(()))
    nets.load_state_dict(state[0])
    wrappers.load_state_dict(state[1])
    for name, wrapper in wrappers.items():
        wrapper.initialize_count_status(nets[name], inner_counts[name], -1)
    return nets, wrappers


def check(nets, wrappers, expected, averages, dtype):
    for i, model in enumerate(expected):
        net, wrapper = nets[NAMES[i]], wrappers[NAMES[i]]
        ours, theirs = net.state_dict(), model.net.state_dict()
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            torch.testing.assert_close(
                ours[key], value, rtol=1e-5, atol=1e-6, equal_nan=True
            )
        for mean, other in zip(averages[i], model.average, strict=True):
            torch.testing.assert_close(mean, other, rtol=1e-5, atol=1e-6)
        assert wrapper.record.windows == model.windows
        assert wrapper.skipped_steps == model.skipped
        if dtype == 'float16':
            assert wrapper.loss_scaler.get_scale() == model.scaler.scale
        assert isinstance(wrapper, AmpOptimWrapper)


@pytest.mark.parametrize('counts', [1, 2])
@pytest.mark.parametrize('is_inside', [True, False])
@pytest.mark.parametrize('reentrant', [True, False])
def test_what_checkpointing_runs_again_is_of_the_window(
    counts, is_inside, reentrant
):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=0.1),
        dtype='bfloat16',
        accumulative_counts=counts,
    )
    wrapper.initialize_count_status(net, 0, 100)
    for window in range(3):
        before = {k: v.clone() for k, v in net.state_dict().items()}
        for i in range(counts):
            x = torch.randn(2, 3, 6, 6, requires_grad=True)
            with wrapper.optim_context(net):
                loss = checkpoint(net, x, use_reentrant=reentrant).sum()
                if window == 1 and i == 0:
                    loss = loss * torch.nan
                if is_inside:
                    wrapper.update_params(loss)
            if not is_inside:
                wrapper.update_params(loss)
        changed = {
            k for k, v in net.state_dict().items() if not v.equal(before[k])
        }
        assert bool(changed) == (window != 1), changed
    assert wrapper.skipped_steps == 1
