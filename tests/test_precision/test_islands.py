import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmamp.precision.islands import Island, islands


class Spy(nn.Module):
    """Says what it was run in."""

    def __init__(self, inner=None):
        super().__init__()
        self.inner = inner
        self.seen = []

    def forward(self, x, other=None, fail=False):
        self.seen.append((x.dtype, torch.is_autocast_enabled('cpu')))
        if fail:
            raise RuntimeError('on purpose')
        return x if self.inner is None else self.inner(x)


def low(enabled=True):
    return torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled)


def install(module, *args, **kwargs):
    Island(*args, **kwargs).install(module)
    return module


class TestIsland:
    def test_inputs_and_autocast(self):
        spy = install(Spy(), torch.float32)
        with low():
            out = spy(torch.ones(2, dtype=torch.bfloat16))
            assert torch.is_autocast_enabled('cpu')
        assert spy.seen == [(torch.float32, False)]
        assert out.dtype is torch.float32

    def test_low_precision_in_float32_surroundings(self):
        layer = install(nn.Linear(2, 2), torch.bfloat16)
        out = layer(torch.ones(2))
        assert out.dtype is torch.bfloat16
        assert not torch.is_autocast_enabled('cpu')

    @pytest.mark.parametrize(
        'given',
        [
            torch.zeros(1, dtype=torch.long, device='meta'),
            [torch.ones(1, device='meta')],
            dict(a=(torch.ones(1, device='meta'),)),
        ],
    )
    def test_the_device_of_any_input_decides(self, given, monkeypatch):
        """Lists of feature maps, indices of an embedding."""
        seen = []

        def watched(device):
            seen.append(device)
            return False

        monkeypatch.setattr(torch.amp, 'is_autocast_available', watched)
        module = install(nn.Identity(), torch.float32)
        module(given)
        assert seen == ['meta']

    def test_where_there_is_no_autocast(self):
        layer = install(nn.Linear(2, 2, device='meta'), torch.bfloat16)
        assert layer(torch.ones(1, 2, device='meta')).is_meta

    def test_keywords_nests_and_other_types(self):
        class Net(nn.Module):
            def forward(self, x, *, pair, index, double):
                return x.dtype, pair['a'][0].dtype, index.dtype, double.dtype

        net = install(Net(), torch.float32)
        half = torch.ones(1, dtype=torch.float16)
        found = net(
            half,
            pair=dict(a=(half,)),
            index=torch.ones(1, dtype=torch.long),
            double=torch.ones(1, dtype=torch.float64),
        )
        assert found == (
            torch.float32,
            torch.float32,
            torch.long,
            torch.float64,
        )

    @pytest.mark.parametrize(
        ('output', 'expected'),
        [
            (None, torch.float32),
            ('input', torch.bfloat16),
            (torch.float16, torch.float16),
        ],
    )
    def test_output_dtype(self, output, expected):
        spy = install(Spy(), torch.float32, output)
        assert spy(torch.ones(1, dtype=torch.bfloat16)).dtype is expected

    def test_clamp_of_nested_outputs(self):
        class Net(nn.Module):
            def forward(self, x):
                return dict(a=x, b=[x * -2], c=torch.tensor(9))

        net = install(Net(), None, clamp=3.0)
        out = net(torch.tensor([1.0, 5.0]))
        assert out['a'].tolist() == [1, 3]
        assert out['b'][0].tolist() == [-2, -3]
        assert out['c'] == 9

    def test_after_an_exception_all_is_as_before(self):
        spy = install(Spy(), torch.float32)
        with low():
            with pytest.raises(RuntimeError, match='on purpose'):
                spy(torch.ones(1), fail=True)
            assert torch.is_autocast_enabled('cpu')
            spy(torch.ones(1))
        assert spy.seen[1] == (torch.float32, False)

    def test_called_inside_of_itself(self):
        class Twice(nn.Module):
            def forward(self, x, depth=1):
                if depth:
                    with low():
                        return self(x, 0)
                return torch.is_autocast_enabled('cpu')

        net = install(Twice(), torch.float32)
        with low():
            assert net(torch.ones(1)) is False
            assert torch.is_autocast_enabled('cpu')

    def test_a_deep_copy_has_an_island_of_its_own(self):
        spy = install(Spy(), torch.float32)
        twin = copy.deepcopy(spy)
        with low():
            twin(torch.ones(1, dtype=torch.bfloat16))
        assert twin.seen == [(torch.float32, False)]
        assert spy.seen == []
        (first,), (second,) = islands(spy), islands(twin)
        assert first is not second
        assert spy.state_dict() == {}

    def test_gradients_are_those_of_a_hand_written_island(self):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3)
        )
        twin = copy.deepcopy(net)
        install(net[1], torch.float32)
        x = torch.randn(2, 1, 8, 8)
        with low():
            out = net(x)
            hidden = twin[0](x)
            with low(enabled=False):
                hidden = twin[1](hidden.float())
            expected = twin[2](hidden)
        out.float().sum().backward()
        expected.float().sum().backward()
        for p, q in zip(net.parameters(), twin.parameters(), strict=True):
            assert torch.equal(p.grad, q.grad)

    def test_two_on_one_module(self):
        spy = install(Spy(), torch.float32)
        install(spy, None, torch.bfloat16, clamp=0.5)
        outer, inner = islands(spy)
        assert (outer.clamp, inner.dtype) == (0.5, torch.float32)
        with low():
            out = spy(torch.ones(1))
        assert spy.seen == [(torch.float32, False)]
        assert (out.dtype, out.item()) == (torch.bfloat16, 0.5)

    def test_called_without_its_hooks(self):
        """`self.forward(x)`, as heads of toolboxes call it."""
        spy = install(Spy(), torch.float32)
        with low():
            spy.forward(torch.ones(1, dtype=torch.bfloat16))
        assert spy.seen == [(torch.float32, False)]

    def test_pickled(self):
        net = nn.Sequential(nn.Linear(2, 2))
        install(net[0], torch.float32, torch.bfloat16)
        twin = pickle.loads(pickle.dumps(net))
        assert islands(twin[0])[0] is not islands(net[0])[0]
        nn.init.zeros_(net[0].weight)
        x = torch.ones(1, 2)
        out = twin(x)
        assert out.dtype is torch.bfloat16
        assert not torch.equal(out, net(x))

    def test_a_scripted_module(self):
        net = torch.jit.script(nn.Linear(2, 2))
        install(net, torch.float32)
        with low():
            assert net(torch.ones(1, 2)).dtype is torch.float32
        assert islands(net)[0].has_run

    @pytest.mark.parametrize('reentrant', [False, True])
    def test_run_again_in_the_backward_pass(self, reentrant):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
        install(net[2], torch.float32, torch.bfloat16)
        x = torch.randn(3, 4, requires_grad=True)
        found = []
        for forward in (
            net,
            lambda x: checkpoint(net, x, use_reentrant=reentrant),
        ):
            net.zero_grad()
            with low():
                out = forward(x)
            out.float().sum().backward()
            found.append([p.grad for p in net.parameters()])
        for a, b in zip(*found, strict=True):
            assert torch.equal(a, b)

    @pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, None])
    def test_compiled_in_one_graph(self, dtype):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
        compiled = torch.compile(net, backend='aot_eager', fullgraph=True)
        install(net[2], dtype, 'input', clamp=0.5)
        x = torch.randn(3, 4)
        try:
            with low():
                expected, found = net(x), compiled(x)
        finally:
            torch._dynamo.reset()
        assert found.dtype is torch.bfloat16
        assert torch.equal(found, expected)
