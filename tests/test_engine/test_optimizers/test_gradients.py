import pytest
import torch
from torch import nn

from mmamp.distributed.sharding import total_norm
from mmamp.engine.optimizers.gradients import (
    all_finite,
    clip_norm_,
    clip_value_,
    exact_norm,
    gradients_of,
    norm_on_device,
    with_real_gradients,
)

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
NORMS = [1.0, 2.0, 3.0, 16.0, float('inf')]


def with_grad(grad):
    param = nn.Parameter(torch.zeros(grad.shape, dtype=grad.dtype))
    param.grad = grad
    return param


def make(dtype=torch.float32):
    params = [with_grad(torch.randn(3, 4).to(dtype))]
    params.append(with_grad(torch.randn(5).to(dtype)))
    params.append(nn.Parameter(torch.zeros(2)))  # no gradient
    return params


@pytest.mark.parametrize('norm_type', NORMS)
def test_norms_are_torchs(norm_type):
    params = make()
    expected = nn.utils.clip_grad_norm_(params, float('inf'), norm_type)
    grads = gradients_of(params)
    torch.testing.assert_close(total_norm(grads, norm_type), expected)
    torch.testing.assert_close(
        exact_norm(grads, norm_type), expected.double(), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize('dtype', DTYPES)
def test_norms_are_at_least_float32(dtype):
    """A sum of squares of float16 overflows where nothing is large."""
    grad = torch.full((100,), 6e4).to(dtype)
    norm = total_norm([grad])
    assert norm.dtype is (
        torch.float64 if dtype is torch.float64 else torch.float32
    )
    assert float(norm) == pytest.approx(float(grad[0]) * 10)


@pytest.mark.parametrize('norm_type', NORMS)
@pytest.mark.parametrize('size', [3e19, 3e-30, 1e38])
def test_an_exact_norm_neither_overflows_nor_vanishes(norm_type, size):
    grads = [torch.full((4,), size), torch.zeros(2)]
    count = 1 if norm_type == float('inf') else 4 ** (1 / norm_type)
    assert float(exact_norm(grads, norm_type)) == pytest.approx(size * count)
    assert all_finite(grads)


@pytest.mark.parametrize('value', ['inf', '-inf', 'nan'])
@pytest.mark.parametrize('norm_type', NORMS)
def test_one_bad_element_shows(value, norm_type):
    grad = torch.ones(100)
    grad[57] = float(value)
    grads = [torch.ones(3), grad]
    assert not torch.isfinite(total_norm(grads, norm_type))
    assert not all_finite(grads)
    assert not norm_on_device(grads, norm_type)[1]


@pytest.mark.parametrize('norm_type', [1.0, 2.0, float('inf')])
def test_the_device_tells_finite_gradients_whose_norm_overflows(norm_type):
    grads = [torch.full((4,), 1e38), torch.zeros(2)]
    norm, finite = norm_on_device(grads, norm_type)
    assert finite
    clip_norm_(grads, 1.0, norm)
    # A bound stands for the norm, itself bounded by what float32 holds.
    assert 0.5 < float(exact_norm(grads, norm_type)) < 1.2


def test_sparse_gradients():
    embedding = nn.Embedding(5, 2, sparse=True)
    embedding(torch.tensor([1, 1, 3])).sum().backward()
    # Row 1 was looked up twice: gradients 2, 2 and 1, 1.
    grads = gradients_of([embedding.weight])
    assert total_norm(grads).item() == pytest.approx(10**0.5)
    clip_norm_(grads, 1.0, total_norm(grads))
    dense = embedding.weight.grad.to_dense()
    assert dense.norm().item() == pytest.approx(1, rel=1e-4)
    clip_value_(gradients_of([embedding.weight]), 0.5)
    assert embedding.weight.grad.to_dense().max().item() == 0.5


def test_complex_gradients():
    """A complex number counts by its magnitude, and is clipped as one."""
    param = with_grad(torch.tensor([3 + 4j, 0j]))
    grads = gradients_of([param])
    assert float(total_norm(grads)) == 5
    clip_norm_(grads, 1.0, total_norm(grads))
    assert abs(complex(param.grad[0])) == pytest.approx(1, rel=1e-5)


def test_a_scaler_unscales_complex_gradients():
    params = [with_grad(torch.tensor([2 + 4j])), with_grad(torch.ones(1))]
    optimizer = torch.optim.SGD(params)
    seen = with_real_gradients(optimizer)
    for param in seen.param_groups[0]['params']:
        param.grad.mul_(0.5)
    assert params[0].grad.tolist() == [1 + 2j]
    assert params[1].grad.tolist() == [0.5]
    plain = torch.optim.SGD([params[1]])
    assert with_real_gradients(plain) is plain


@pytest.mark.parametrize('max_norm', [0.1, 100.0])
def test_clips_as_torch_does(max_norm):
    torch.manual_seed(0)
    params = make()
    torch.manual_seed(0)
    expected = make()
    grads = gradients_of(params)
    clip_norm_(grads, max_norm, total_norm(grads))
    nn.utils.clip_grad_norm_(expected, max_norm)
    clip_value_(grads, 0.01)
    nn.utils.clip_grad_value_(expected, 0.01)
    for p, q in zip(params[:2], expected[:2], strict=True):
        assert torch.equal(p.grad, q.grad)
