import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmamp.precision.rounded_operands import RoundedOperands

LOW = [torch.bfloat16, torch.float16]


def low_precision(func, args, dtype):
    """The operator in float64, on operands rounded to the dtype."""
    return func(*(a.detach().to(dtype).double() for a in args))


CASES = {
    'conv1d': (F.conv1d, (4, 16, 64), (32, 16, 9)),
    'conv2d': (F.conv2d, (4, 16, 16, 16), (32, 16, 3, 3)),
    'conv3d': (F.conv3d, (2, 8, 8, 8, 8), (16, 8, 3, 3, 3)),
    'unbatched': (F.conv2d, (16, 16, 16), (32, 16, 5, 5)),
    'conv_transpose2d': (F.conv_transpose2d, (4, 16, 8, 8), (16, 32, 4, 4)),
    'linear': (F.linear, (64, 256), (128, 256)),
    'matmul': (torch.matmul, (64, 256), (256, 128)),
    'operator': (lambda a, b: a @ b, (64, 256), (256, 128)),
    'bmm': (torch.bmm, (4, 64, 64), (4, 64, 64)),
}


@pytest.mark.parametrize('dtype', LOW)
@pytest.mark.parametrize('name', CASES)
class TestRoundedOperands:
    """Numerics of the dtype, by float32 kernels; on any CPU."""

    def test_values_and_gradients(self, name, dtype):
        func, *shapes = CASES[name]
        torch.manual_seed(0)
        args = [torch.randn(s, requires_grad=True) for s in shapes]
        with torch.autocast('cpu', dtype=dtype), RoundedOperands():
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
        with RoundedOperands():
            assert torch.equal(func(*args), func(*args))
            assert func(*args).dtype is torch.float32

    def test_operands_cast_by_the_model(self, name, dtype):
        func, *shapes = CASES[name]
        torch.manual_seed(0)
        args = [torch.randn(s) for s in shapes]
        low = [a.to(dtype) for a in args]
        with torch.autocast('cpu', dtype=dtype), RoundedOperands():
            expected = func(*args)
            with torch.autocast('cpu', enabled=False):
                # The kernel of the dtype sums in another order.
                assert torch.equal(func(*low), expected)


@pytest.mark.parametrize('dtype', LOW)
def test_operands_by_name(dtype):
    x, weight = torch.randn(2, 16, 32, 32), torch.randn(16, 16, 3, 3)
    a, b = torch.randn(2, 2, 128, 128)
    with torch.autocast('cpu', dtype=dtype), RoundedOperands():
        expected = F.conv2d(x, weight), torch.bmm(a, b)
        assert torch.equal(F.conv2d(weight=weight, input=x), expected[0])
        assert torch.equal(torch.bmm(a, mat2=b), expected[1])
        with pytest.raises(TypeError, match='invalid combination'):
            F.conv2d(x)


def test_operands_of_two_dtypes_are_refused_as_ever():
    x, weight = torch.randn(128, 128), torch.randn(128, 128).bfloat16()
    with RoundedOperands(), pytest.raises(RuntimeError, match='dtype'):
        F.linear(x, weight)


def test_small_products_stay_with_torchs_kernel():
    x, weight = torch.randn(4, 8), torch.randn(8, 8)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        expected = F.linear(x, weight)
        with RoundedOperands():
            assert torch.equal(F.linear(x, weight), expected)


def test_double_and_integer_tensors_are_left_alone():
    with torch.autocast('cpu', dtype=torch.bfloat16), RoundedOperands():
        double = torch.randn(128, 128, dtype=torch.float64)
        assert F.linear(double, double).dtype is torch.float64
        integer = torch.ones(128, 128, dtype=torch.int64)
        assert torch.matmul(integer, integer).dtype is torch.int64


def test_second_derivative():
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 16, 3)
    x = torch.randn(2, 16, 32, 32, requires_grad=True)
    with torch.autocast('cpu', dtype=torch.bfloat16), RoundedOperands():
        out = conv(x).float().pow(2).sum()
    (grad,) = torch.autograd.grad(out, x, create_graph=True)
    grad.pow(2).sum().backward()
    assert torch.isfinite(conv.weight.grad).all()
    assert conv.weight.grad.abs().sum() > 0
