"""Models and batches without numbers."""

import copy

import torch
from torch import nn

from mmamp.plan.fakes import Fakes


def test_a_tensor_without_numbers_is_copied():
    """Data elements of MMEngine copy the tensors that they are told of."""
    fakes = Fakes(True)
    tensor = fakes.of_tensor(torch.ones(2, 3)).requires_grad_()
    param = fakes.of_tensor(nn.Parameter(torch.ones(4), requires_grad=False))
    with fakes.mode():
        told = dict(first=tensor, again=tensor, weight=param)
        copied = copy.deepcopy(told)
    assert copied['first'].shape == (2, 3)
    assert copied['first'].requires_grad
    assert copied['first'] is not tensor
    assert copied['first'] is copied['again']
    assert isinstance(copied['weight'], nn.Parameter)
    assert not copied['weight'].requires_grad


def test_a_parameter_of_integers_is_copied_with_what_it_has():
    fakes = Fakes(True)
    param = nn.Parameter(torch.arange(4), requires_grad=False)
    param.tag = 'told'
    fake = fakes.of_tensor(param)
    with fakes.mode():
        copied = copy.deepcopy(fake)
    assert copied.tag == 'told'
    assert copied.dtype is torch.int64
    assert vars(copied).keys() == vars(fake).keys()


def test_without_it_all_is_computed():
    fakes = Fakes(False)
    tensor = torch.arange(3.0)
    with fakes.mode():
        assert fakes.of_tensor(tensor) is tensor
        assert float(tensor.sum()) == 3
