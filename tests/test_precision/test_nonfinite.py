"""The tracer names the module that a fault was planted in."""

import re
from collections import OrderedDict

import pytest
import torch
from torch import nn

from mmamp.precision.nonfinite import NonFiniteTracer


class Scale(nn.Module):
    """Multiplies; in float16 it is easily too much."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


class _InfBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float('inf')


class _Amplify(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * 1e5


class Amplify(nn.Module):
    """Too much for a scaled gradient in float16, not in float32."""

    def forward(self, x):
        return _Amplify.apply(x)


class InfBackward(nn.Module):
    def forward(self, x):
        return _InfBackward.apply(x)


class Root(nn.Module):
    """Its derivative at 0 is infinite."""

    def forward(self, x):
        return (x - x.detach()).sqrt()


class Log(nn.Module):
    def forward(self, x):
        return (-x.abs() - 1).log()


class Residual(nn.Module):
    def __init__(self, main):
        super().__init__()
        self.main, self.skip = main, nn.Linear(4, 4)

    def forward(self, x):
        return dict(out=(self.main(x) + self.skip(x), 'and more'))


class Take(nn.Module):
    def forward(self, x):
        return x['out'][0]


def make(fault):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 4),
        nn.ReLU(inplace=True),
        Residual(nn.Sequential(nn.Linear(4, 4), fault)),
        Take(),
        nn.ReLU(inplace=True),
        nn.Linear(4, 1),
    )


def trace(net, x=None, scale=1.0, dtype=torch.float16, loss=None):
    tracer = NonFiniteTracer(net)
    tracer.attach()
    try:
        with torch.autocast('cpu', dtype=dtype):
            out = net(torch.ones(2, 4) if x is None else x)
            out = out.float().sum() if loss is None else loss(out.float())
        if out.requires_grad:
            (out * scale).backward()
        return tracer.finding
    finally:
        tracer.detach()


def hooks_of(net):
    return [
        (len(m._forward_hooks), len(m._forward_pre_hooks))
        + tuple(len(p._backward_hooks or ()) for p in m.parameters())
        for m in net.modules()
    ]


class TestForward:
    def test_overflow(self):
        net = make(Scale(1e6))
        finding = trace(net)
        assert finding.module == '2.main.1'
        assert not finding.backward
        assert finding.cause == 'overflow'
        assert 'overflows' in finding.text
        (pattern,) = re.findall(r"pattern='(.*)', dtype", finding.rule)
        assert re.fullmatch(pattern.replace('\\\\', '\\'), '2.main.1')
        assert "dtype='float32'" in finding.rule

    def test_weights_that_are_in_low_precision_themselves(self):
        """Such as a frozen network that a loss looks through."""
        layer = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval().half()
        with torch.no_grad():
            for param in layer[0].parameters():
                param.fill_(60000.0)
        finding = trace(make(layer))
        assert (finding.module, finding.cause) == ('2.main.1.0', 'overflow')
        assert all(p.dtype is torch.float16 for p in layer.parameters())

    def test_a_module_that_changes_its_input(self):
        class InPlace(nn.Module):
            def forward(self, x):
                return x.mul_(1e6)

        finding = trace(make(nn.Sequential(Scale(1.0), InPlace())))
        assert (finding.module, finding.cause) == ('2.main.1.1', 'overflow')

    def test_nan(self):
        finding = trace(make(Log()))
        assert (finding.module, finding.cause) == ('2.main.1', 'nan')
        assert finding.rule is None
        assert 'no precision mends it' in finding.text

    def test_bad_parameter(self):
        net = make(nn.Identity())
        with torch.no_grad():
            net[2].skip.bias[1] = float('nan')
        finding = trace(net)
        assert (finding.module, finding.cause) == ('2.skip', 'parameter')
        assert "parameter 'bias'" in finding.text

    def test_bad_data(self):
        finding = trace(make(nn.Identity()), torch.full((2, 4), float('nan')))
        assert finding.cause == 'data'
        assert 'look at the data' in finding.text

    def test_code_between_modules(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

            def forward(self, x):
                return self.b(self.a(x) / 0)

        finding = trace(Net())
        assert (finding.module, finding.cause) == ('b', 'between')
        assert "output of 'a'" in finding.text

    def test_buffers_and_random_numbers_are_left_alone(self):
        net = make(nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), Scale(1e6)))
        net[2].main[1].eval()
        before = [b.clone() for b in net.buffers()]
        torch.manual_seed(7)
        expected = torch.rand(3)
        torch.manual_seed(7)
        assert trace(net).module == '2.main.1.2'
        assert torch.equal(torch.rand(3), expected)
        for now, then in zip(net.buffers(), before, strict=True):
            assert torch.equal(now, then)


class TestBackward:
    def test_in_a_module_alone(self):
        finding = trace(make(InfBackward()))
        assert finding.module == '2.main.1'
        assert finding.backward
        assert finding.cause == 'nan'

    def test_real_float16_overflow(self):
        finding = trace(make(Amplify()), torch.randn(16, 4), 1024.0)
        assert finding.module == '2.main.1'
        assert finding.backward
        assert finding.cause == 'overflow'

    def test_true_infinite_derivative(self):
        finding = trace(make(Root()), dtype=torch.bfloat16)
        assert (finding.module, finding.cause) == ('2.main.1', 'nan')

    def test_through_frozen_modules(self):
        net = make(InfBackward())
        for module in net[1:]:
            module.requires_grad_(False)
        assert trace(net).module == '2.main.1'

    def test_in_the_loss(self):
        finding = trace(
            make(nn.Identity()),
            loss=lambda out: (out - out.detach()).sqrt().sum(),
        )
        assert finding.cause == 'between'
        assert "after '5' (the loss" in finding.text

    def test_a_finite_pass_finds_nothing(self):
        assert trace(make(nn.Identity())) is None


@pytest.mark.parametrize('fault', [nn.Identity(), Log(), InfBackward()])
def test_leaves_nothing_behind(fault):
    net = make(fault)
    before = hooks_of(net)
    trace(net)
    assert hooks_of(net) == before


def test_a_module_called_twice():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.scale = nn.Linear(4, 4), Scale(300.0)

        def forward(self, x):
            return self.scale(self.layer(self.scale(self.layer(x))))

    torch.manual_seed(0)
    finding = trace(Net())
    assert (finding.module, finding.cause) == ('scale', 'overflow')


@pytest.mark.parametrize('calls', [1, 2, 3])
def test_batch_norm_called_before_one_backward_pass(calls):
    """D(real) and D(fake): running it again must not touch its buffers."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), Amplify())
    tracer = NonFiniteTracer(net)
    tracer.attach()
    with torch.autocast('cpu', dtype=torch.float16):
        loss = sum(net(torch.randn(4, 4)).float().sum() for _ in range(calls))
    before = [x.clone() for x in net.buffers()]
    (loss * 8192).backward()
    assert tracer.finding.module == '2'
    for now, then in zip(net.buffers(), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize('trains', [False, True])
@pytest.mark.parametrize(('factor', 'found'), [(1.0, None), (1e6, 'judge')])
def test_a_scripted_module_is_part_of_its_owner(trains, factor, found):
    class Judge(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torch.jit.script(
                nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train(trains)
            )

        def forward(self, x):
            return self.net(x) * factor

    net = nn.Sequential(OrderedDict(a=nn.Linear(4, 4), judge=Judge()))
    finding = trace(net, torch.randn(4, 4))
    assert (finding and finding.module) == found


def held_by(tracer):
    """Bytes of tensors that a tracer alone keeps alive, by their memory."""
    calls = {
        id(call): call
        for calls in (tracer._makers.values(), *tracer._takers.values())
        for call in calls
    }
    kept = [x for call in calls.values() for x in call._inputs()]
    grads = [x for call in calls.values() for x in call.grad_outputs.values()]
    assert all(x._copy is None for x in kept)
    return {
        x.untyped_storage().data_ptr(): x.untyped_storage().nbytes()
        for x in [*(k._tensor for k in kept), *grads]
    }


def test_little_memory_is_held():
    """Beside what the backward pass needs itself."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(4, 4, 3, padding=1),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.Conv2d(4, 4, 3, padding=1),
            )

        def forward(self, x):
            return x + self.main(x)

    net = nn.Sequential(nn.Sequential(Block(), Block()), Block())
    saved = {}

    def note(x):
        saved[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    tracer = NonFiniteTracer(net)
    tracer.attach()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        loss = net(torch.randn(2, 4, 8, 8)).sum()
    held = held_by(tracer)
    beside = sum(n for at, n in held.items() if at not in saved)
    assert beside <= sum(saved.values()) / 2
    loss.backward()
    assert set(held_by(tracer)) <= set(held)  # no gradient is left
    assert tracer.finding is None


def test_an_input_that_was_overwritten_later():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.end = Amplify(), nn.Linear(4, 1)

        def forward(self, x):
            x = x * 1.0
            out = self.scale(x)
            x.zero_()
            return self.end(out)

    net = nn.Sequential(nn.Linear(4, 4), Net())
    finding = trace(net, scale=1e4)
    assert (finding.module, finding.cause) == ('1.scale', 'overwritten')
    assert 'its input has been changed in place' in finding.text
