import pytest
from mmengine.model import MMSeparateDistributedDataParallel
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmamp.distributed.no_sync import no_sync


def two_networks():
    return nn.ModuleDict(dict(one=nn.Linear(2, 2), other=nn.Linear(2, 2)))


def assert_none_syncs_inside(model, networks):
    with no_sync(model):
        assert not any(n.require_backward_grad_sync for n in networks)
    assert all(n.require_backward_grad_sync for n in networks)


def test_a_wrapped_network(as_rank):
    with as_rank(0):
        network = DistributedDataParallel(nn.Linear(2, 2))
        assert_none_syncs_inside(network, [network])


@pytest.mark.parametrize('world_size', [1, 4])
def test_a_model_that_holds_some(as_rank, world_size):
    with as_rank(0, world_size):
        model = two_networks()
        for name in list(model):
            model[name] = DistributedDataParallel(model[name])
        assert_none_syncs_inside(model, list(model.values()))


def test_mmengines_separate_wrapper(as_rank):
    """Whose own `no_sync` is for its first network alone."""
    with as_rank(0):
        model = MMSeparateDistributedDataParallel(two_networks())
        assert_none_syncs_inside(model, list(model.module.children()))


def test_nothing_to_do_outside_of_a_process_group():
    entered = []
    network = nn.Linear(2, 2)
    network.no_sync = lambda: entered.append(1)
    with no_sync(network):
        pass
    assert not entered
