"""What cannot work says so before anything is trained."""

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mmamp import AmpOptimWrapper, OptimWrapperConstructor


class SecondOrder(torch.optim.SGD):
    mmamp_traits = dict(second_order=True)


def test_a_step_that_differentiates_gradients_at_a_scale():
    params = list(nn.Linear(1, 1).parameters())
    with pytest.raises(ValueError, match=r'SecondOrder.*bfloat16.*float32'):
        AmpOptimWrapper(SecondOrder(params), dtype='float16')
    AmpOptimWrapper(SecondOrder(params), dtype='bfloat16')


def test_its_entry_is_named():
    model = nn.ModuleDict(dict(generator=nn.Linear(1, 1)))
    with pytest.raises(
        ValueError, match=r"optim_wrapper\['generator'\].*SecondOrder"
    ):
        OptimWrapperConstructor(
            dict(
                generator=dict(
                    type='mmamp.AmpOptimWrapper',
                    dtype='float16',
                    optimizer=dict(type=SecondOrder, lr=0.1),
                )
            )
        )(model)


class TestParametersOfFloat16:
    def model(self):
        return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2).half())

    @pytest.mark.parametrize('loss_scale', ['dynamic', 512.0])
    def test_have_no_loss_scale(self, loss_scale):
        optimizer = torch.optim.SGD(self.model().parameters())
        with pytest.raises(
            ValueError, match=r'\(2, 4\) is float16 itself.*half'
        ):
            AmpOptimWrapper(optimizer, loss_scale, 'float16')

    def test_are_named_by_the_constructor(self):
        with pytest.raises(
            ValueError, match=r"optim_wrapper: .*'1.weight' is fl"
        ):
            OptimWrapperConstructor(
                dict(
                    type='mmamp.AmpOptimWrapper',
                    dtype='float16',
                    optimizer=dict(type='SGD', lr=0.1),
                )
            )(self.model())

    @pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
    def test_are_fine_without_one(self, dtype):
        optimizer = torch.optim.SGD(self.model().parameters())
        AmpOptimWrapper(optimizer, dtype=dtype)


def static_graph(rank, world_size):
    net = DistributedDataParallel(nn.Linear(1, 1), static_graph=True)
    optimizer = torch.optim.SGD(net.parameters())
    AmpOptimWrapper(optimizer).initialize_count_status(net, 0, 4)
    try:
        AmpOptimWrapper(
            optimizer, accumulative_counts=2
        ).initialize_count_status(net, 0, 4)
    except ValueError as error:
        return str(error)


def test_windows_under_a_static_graph(in_ranks):
    assert distributed.is_available()
    for text in in_ranks(2, static_graph):
        assert 'accumulative_counts=2 does not work with static_graph' in text
