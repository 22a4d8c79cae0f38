import pytest
import torch
from torch import nn

from mmamp.utils.memory import is_plain


@pytest.mark.parametrize(
    'tensor',
    [torch.ones(2, 3).t(), nn.Parameter(torch.ones(2)), torch.ones(2) * 1j],
)
def test_plain(tensor):
    assert is_plain(tensor)


@pytest.mark.parametrize(
    'tensor',
    [
        torch.ones(2).to_sparse(),
        (torch.ones(2) * 1j).conj(),
        (torch.ones(2) * 1j).conj().imag,
        torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
        torch.ones(2).as_subclass(type('Image', (torch.Tensor,), {})),
    ],
)
def test_not_plain(tensor):
    assert not is_plain(tensor)
