"""Several updates in one ``optim_context``, under DDP."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmamp import AmpOptimWrapper


def weights(rank, world_size, inside):
    torch.manual_seed(0)
    net = DistributedDataParallel(nn.Linear(3, 1))
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=0.1),
        dtype='float32',
        accumulative_counts=2,
    )
    wrapper.initialize_count_status(net, 0, 8)
    data = torch.Generator().manual_seed(rank)
    batches = [torch.randn(4, 3, generator=data) for _ in range(8)]
    for pair in zip(batches[::2], batches[1::2], strict=True):
        if inside:
            with wrapper.optim_context(net):
                for x in pair:
                    wrapper.update_params(net(x).square().mean())
        else:
            for x in pair:
                with wrapper.optim_context(net):
                    loss = net(x).square().mean()
                wrapper.update_params(loss)
    return net.module.weight.detach().clone(), wrapper.record.windows


@pytest.mark.parametrize('inside', [False, True])
def test_ranks_stay_together(in_ranks, inside):
    (one, windows), (other, _) = in_ranks(2, weights, inside)
    assert torch.equal(one, other)
    assert windows == 4
    (expected, _), _ = in_ranks(2, weights, False)
    torch.testing.assert_close(one, expected)
