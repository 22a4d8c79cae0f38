from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from mmamp.precision import rounded_operands
from mmamp.precision.autocast import autocast

LOW = [torch.bfloat16, torch.float16]


@pytest.fixture
def no_instructions(monkeypatch):
    """Take the instructions for both dtypes from this CPU.

    All products are taken for large ones, so that tests can be small.
    """
    monkeypatch.setattr(rounded_operands, 'has_native', lambda *_: False)
    monkeypatch.setattr(rounded_operands, 'MIN_MULTIPLY_ADDS', 0)


class Multiplied(TorchDispatchMode):
    """Notes the dtypes in which products are computed."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__
        if any(x in name for x in ('mm', 'conv', 'attention', 'rnn')):
            self.seen |= {
                x.dtype
                for x in args
                if isinstance(x, torch.Tensor) and x.is_floating_point()
            }
        return func(*args, **(kwargs or {}))


def low_precision(func, args, dtype):
    """The operator in float64, on operands rounded to the dtype."""
    return func(*(a.detach().to(dtype).double() for a in args))


def attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


CASES = {
    'conv1d': (F.conv1d, (4, 16, 64), (32, 16, 9)),
    'conv2d': (F.conv2d, (4, 16, 16, 16), (32, 16, 3, 3)),
    'same': (
        lambda x, w: F.conv2d(x, w, padding='same'),
        (4, 16, 16, 16),
        (32, 16, 3, 3),
    ),
    'conv3d': (F.conv3d, (2, 8, 8, 8, 8), (16, 8, 3, 3, 3)),
    'unbatched': (F.conv2d, (16, 16, 16), (32, 16, 5, 5)),
    'conv_transpose2d': (F.conv_transpose2d, (4, 16, 8, 8), (16, 32, 4, 4)),
    'linear': (F.linear, (64, 256), (128, 256)),
    'matmul': (torch.matmul, (64, 256), (256, 128)),
    'operator': (lambda a, b: a @ b, (64, 256), (256, 128)),
    'bmm': (torch.bmm, (4, 64, 64), (4, 64, 64)),
    'by name': (
        lambda a, b: torch.bmm(a, mat2=b),
        (4, 64, 64),
        (4, 64, 64),
    ),
    'addmm': (torch.addmm, (8, 8), (8, 64), (64, 8)),
    'baddbmm': (torch.baddbmm, (2, 8, 8), (2, 8, 64), (2, 64, 8)),
    'einsum': (
        lambda a, b: torch.einsum('bij,bjk->bik', a, b),
        (2, 8, 64),
        (2, 64, 8),
    ),
}


@pytest.mark.usefixtures('no_instructions')
@pytest.mark.parametrize('dtype', LOW)
@pytest.mark.parametrize('name', CASES)
class TestRoundedOperands:
    """Numerics of the dtype, by float32 kernels; on any CPU."""

    def test_values_and_gradients(self, name, dtype):
        func, *shapes = CASES[name]
        torch.manual_seed(0)
        args = [torch.randn(s, requires_grad=True) for s in shapes]
        with autocast('cpu', dtype):
            result = func(*args)
        assert result.dtype is dtype
        exact = low_precision(func, args, dtype)
        # One rounding of the result, and float32 sums, are all it may differ.
        step = torch.finfo(dtype).eps
        torch.testing.assert_close(
            result.double(), exact, rtol=step, atol=step * 4
        )
        result.float().pow(2).mean().backward()
        for arg in args:
            assert arg.grad.dtype is torch.float32
            assert torch.isfinite(arg.grad).all()

        others = [a.detach().double().requires_grad_() for a in args]
        func(*others).pow(2).mean().backward()
        for arg, other in zip(args, others, strict=True):
            cosine = F.cosine_similarity(
                arg.grad.double().flatten(), other.grad.flatten(), dim=0
            )
            assert cosine > 0.9999

    def test_is_off_where_autocast_is(self, name, dtype):
        func, *shapes = CASES[name]
        args = [torch.randn(s) for s in shapes]
        expected = func(*args)
        with autocast('cpu', dtype), autocast('cpu', torch.float32):
            assert torch.equal(func(*args), expected)


MODULES = {
    'LSTM': (lambda: nn.LSTM(8, 8), lambda m, x: m(x)[0]),
    'GRU': (lambda: nn.GRU(8, 8), lambda m, x: m(x)[0]),
    'attention': (
        lambda: nn.MultiheadAttention(8, 2),
        lambda m, x: m(x, x, x, need_weights=False)[0],
    ),
    'weights': (
        lambda: nn.MultiheadAttention(8, 2),
        lambda m, x: m(x, x, x)[0],
    ),
    'encoder': (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0),
        lambda m, x: m(x),
    ),
}


@pytest.mark.usefixtures('no_instructions')
@pytest.mark.parametrize('dtype', LOW)
@pytest.mark.parametrize('name', MODULES)
def test_what_is_hidden_in_others(name, dtype):
    """Every product of a module, in training, backward and evaluation."""
    torch.manual_seed(0)
    build, call = MODULES[name]
    module = build()
    x = torch.randn(5, 2, 8)
    expected = call(module, x)
    with Multiplied() as products:
        with autocast('cpu', dtype):
            out = call(module, x)
        out.float().square().mean().backward()
        module.eval()
        with torch.no_grad(), autocast('cpu', dtype):
            call(module, x)
    assert products.seen == {torch.float32}
    torch.testing.assert_close(out.float(), expected, rtol=0.05, atol=0.05)
    for param in module.parameters():
        assert torch.isfinite(param.grad).all()


@pytest.mark.usefixtures('no_instructions')
@pytest.mark.parametrize('dtype', LOW)
@pytest.mark.parametrize('reentrant', [False, True])
def test_what_is_run_again_in_the_backward_pass(dtype, reentrant):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3))
    x = torch.randn(2, 2, 9, 9, requires_grad=True)

    def gradients(forward):
        net.zero_grad()
        with autocast('cpu', dtype):
            loss = forward(x).float().square().mean()
        loss.backward()
        return [param.grad for param in net.parameters()]

    expected = gradients(net)
    found = gradients(lambda x: checkpoint(net, x, use_reentrant=reentrant))
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('name', ['conv2d', 'linear', 'bmm', 'einsum'])
@pytest.mark.parametrize('dtype', LOW)
def test_the_autocast_of_others_is_torchs(name, dtype, no_instructions):
    """Before, beside and after mmamp's, in this thread and in others."""
    func, *shapes = CASES[name]
    torch.manual_seed(0)
    args = [torch.randn(s, requires_grad=True) for s in shapes]
    cast = [a.detach().to(dtype).requires_grad_() for a in args]
    plain = func(*cast)
    plain.float().square().mean().backward()

    def check():
        with torch.autocast('cpu', dtype), Multiplied() as products:
            found = func(*args)
        assert products.seen == {dtype}
        assert torch.equal(found, plain)
        grads = torch.autograd.grad(found.float().square().mean(), args)
        for grad, low in zip(grads, cast, strict=True):
            assert torch.equal(grad, low.grad.float())

    check()
    with autocast('cpu', dtype):
        func(*args)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(check).result()
    check()


@pytest.mark.usefixtures('no_instructions')
def test_an_autocast_inside_is_mmamps_too():
    """Of a model that enters it by itself."""
    x = torch.randn(4, 4)
    with autocast('cpu', torch.float16), Multiplied() as products:
        with torch.autocast('cpu', torch.float16):
            torch.mm(x, x)
        with torch.autocast('cpu', enabled=False):
            pass
        torch.mm(x, x)
    assert products.seen == {torch.float32}


def test_a_dtype_with_instructions_is_cast_as_ever(monkeypatch):
    monkeypatch.setattr(
        rounded_operands,
        'has_native',
        lambda _, dtype: dtype is torch.bfloat16,
    )
    rounded_operands.round_operands()
    x, weight = torch.randn(64, 64), torch.randn(64, 64)
    with autocast('cpu', torch.bfloat16):
        found = F.linear(x, weight)
    assert torch.equal(found, F.linear(x.bfloat16(), weight.bfloat16()))


@pytest.mark.parametrize(
    ('size', 'used'), [(32, LOW[1]), (128, torch.float32)]
)
def test_small_products_stay_with_torchs_kernel(monkeypatch, size, used):
    monkeypatch.setattr(rounded_operands, 'has_native', lambda *_: False)
    x, weight = torch.randn(size, size), torch.randn(size, size)
    weight.requires_grad_()  # before autograd decomposes it
    for call in (F.linear, torch.mm, lambda a, b: torch.addmm(a, a, b)):
        with Multiplied() as products, autocast('cpu', torch.float16):
            call(x, weight)
        assert products.seen == {used}


@pytest.mark.usefixtures('no_instructions')
def test_double_and_integer_tensors_are_left_alone():
    with autocast('cpu', torch.bfloat16):
        double = torch.randn(8, 8, dtype=torch.float64)
        assert F.linear(double, double).dtype is torch.float64
        integer = torch.ones(8, 8, dtype=torch.int64)
        assert torch.matmul(integer, integer).dtype is torch.int64


@pytest.mark.usefixtures('no_instructions')
def test_mistakes_are_told_as_ever():
    with autocast('cpu', torch.bfloat16):
        with pytest.raises(TypeError, match='invalid combination'):
            F.conv2d(torch.ones(1))
        with pytest.raises(RuntimeError, match='Expected 3D'):
            F.conv2d(torch.ones(1), torch.ones(1, 1, 1, 1))
        with pytest.raises(RuntimeError, match='shapes'):
            F.linear(torch.ones(1, 2), torch.ones(3, 3))


@pytest.mark.usefixtures('no_instructions')
def test_second_derivative():
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 4, 3)
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    with autocast('cpu', torch.bfloat16):
        out = conv(x).float().pow(2).sum()
    (grad,) = torch.autograd.grad(out, x, create_graph=True)
    grad.pow(2).sum().backward()
    assert torch.isfinite(conv.weight.grad).all()
    assert conv.weight.grad.abs().sum() > 0


@pytest.mark.usefixtures('no_instructions')
def test_compiled():
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    compiled = torch.compile(net, backend='aot_eager', fullgraph=True)
    x = torch.randn(3, 8)
    try:
        with autocast('cpu', torch.float16):
            assert torch.equal(compiled(x), net(x))
    finally:
        torch._dynamo.reset()
