import pytest
import torch
from torch import nn

from mmamp.engine.optimizers.gradients import total_norm


def with_grad(grad):
    param = nn.Parameter(torch.zeros(grad.shape))
    param.grad = grad
    return param


def test_total_norm_is_torchs():
    params = [with_grad(torch.randn(3, 4)), with_grad(torch.randn(5))]
    params.append(nn.Parameter(torch.zeros(2)))  # no gradient
    expected = nn.utils.clip_grad_norm_(params, float('inf'))
    torch.testing.assert_close(total_norm(params), expected)


@pytest.mark.parametrize('value', ['inf', '-inf', 'nan'])
def test_total_norm_shows_one_bad_element(value):
    grad = torch.ones(100)
    grad[57] = float(value)
    params = [with_grad(torch.ones(3)), with_grad(grad)]
    assert not torch.isfinite(total_norm(params))


def test_sparse_gradients():
    embedding = nn.Embedding(5, 2, sparse=True)
    embedding(torch.tensor([1, 1, 3])).sum().backward()
    # Row 1 was looked up twice: gradients 2, 2 and 1, 1.
    assert total_norm([embedding.weight]).item() == pytest.approx(10**0.5)
