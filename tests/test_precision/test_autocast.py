import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmamp.precision import devices
from mmamp.precision.autocast import autocast, autocast_off
from mmamp.precision.dtypes import autocast_dtypes, resolve_dtype
from mmamp.precision.rounded_operands import RoundedOperands

LOW = [torch.bfloat16, torch.float16]


class TestResolveDtype:
    def test_default_is_torchs(self):
        assert resolve_dtype(None, 'cpu') is torch.bfloat16
        assert resolve_dtype(None, 'cuda') is torch.float16

    def test_names_and_dtypes(self):
        for name in ('float16', 'bfloat16', 'float32'):
            assert resolve_dtype(name, 'cpu') is getattr(torch, name)
            dtype = getattr(torch, name)
            assert resolve_dtype(dtype, 'cpu') is dtype

    def test_auto_on_a_cpu_without_either_is_bfloat16(self, monkeypatch):
        monkeypatch.setattr(devices, '_cpu_has_native', lambda _: False)
        assert resolve_dtype('auto', 'cpu') is torch.bfloat16

    def test_auto_takes_what_the_hardware_has(self, monkeypatch):
        monkeypatch.setattr(
            devices, '_cpu_has_native', lambda dtype: dtype is torch.float16
        )
        assert resolve_dtype('auto', 'cpu') is torch.float16

    def test_an_unsupported_dtype_names_those_there_are(self):
        with pytest.raises(ValueError, match="'cpu'.*bfloat16, float16"):
            resolve_dtype(torch.float64, 'cpu')

    def test_an_unknown_name_lists_those_that_are_valid(self):
        valid = "'float16', 'bfloat16', 'float32', 'auto', or None"
        with pytest.raises(ValueError, match=f"'float64' is unknown.*{valid}"):
            resolve_dtype('float64', 'cpu')

    def test_a_backend_of_its_own_is_asked(self, monkeypatch):
        class Backend:
            @staticmethod
            def get_amp_supported_dtype():
                return [torch.float16]

        monkeypatch.setattr(torch, 'npu', Backend, raising=False)
        assert autocast_dtypes('npu') == (torch.float16,)
        assert resolve_dtype('auto', 'npu') is torch.float16
        with pytest.raises(ValueError, match='it can: float16, float32'):
            resolve_dtype('bfloat16', 'npu')


class TestContext:
    def test_float32_switches_an_outer_one_off(self):
        with (
            torch.autocast('cpu', dtype=torch.bfloat16),
            autocast('cpu', torch.float32),
        ):
            assert not torch.is_autocast_enabled('cpu')

    def test_off(self):
        with autocast('cpu', torch.bfloat16):
            assert torch.is_autocast_enabled('cpu')
            with autocast_off('cpu'):
                assert not torch.is_autocast_enabled('cpu')

    @pytest.mark.parametrize('dtype', LOW)
    def test_no_grad_does_not_poison(self, dtype):
        net = nn.Linear(2, 2)
        with autocast('cpu', dtype):
            with torch.no_grad():
                net(torch.ones(1, 2))
            assert net(torch.ones(1, 2)).requires_grad

    def test_an_island_in_float32_stays_one(self):
        big = torch.randn(64, 256)
        weight = torch.randn(256, 256)
        with autocast('cpu', torch.bfloat16), autocast_off('cpu'):
            assert torch.equal(F.linear(big, weight), big @ weight.t())


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


@pytest.mark.parametrize(
    ('flags', 'native'),
    [
        ('flags\t\t: fpu avx2 avx512f avx512bw', False),
        ('flags\t\t: fpu avx512f avx512_bf16', True),
        ('flags\t\t: fpu avx512f amx_bf16 amx_tile', True),
        ('Features\t: fp asimd bf16', True),  # not an x86 processor
    ],
)
def test_native_needs_kernels_and_instructions(
    flags, native, tmp_path, monkeypatch
):
    """oneDNN has slow kernels for bfloat16 wherever there is AVX-512."""
    info = tmp_path / 'cpuinfo'
    info.write_text(f'processor\t: 0\n{flags}\nbugs\t\t: x\n')
    monkeypatch.setattr(devices, 'CPUINFO', info)
    has_kernels = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    uncached = devices._cpu_has_native.__wrapped__
    assert uncached(torch.bfloat16) is (native and has_kernels)
    assert not uncached(torch.float64)
