"""Gradient penalties in two real processes."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmamp import AmpOptimWrapper
from mmamp.models.losses import R1, WGANGP


def make_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 8, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(8 * 4, 1),
    )


def train(network, parts, dtype, counts):
    """Two windows, each with the main loss, R1 and WGAN-GP."""
    bare = getattr(network, 'module', network)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(bare.parameters(), lr=0.1),
        loss_scale=256.0 if dtype == 'float16' else 'dynamic',
        dtype=dtype,
        accumulative_counts=counts,
        clip_grad=dict(max_norm=0.5),
    )
    wrapper.initialize_count_status(bare, 0, 2 * counts)
    penalties = (R1(weight=1.0), WGANGP(weight=1.0))
    for real in parts:
        with wrapper.optim_context(network):
            loss = nn.functional.softplus(network(real)).mean()
            for penalty in penalties:
                # The same points whatever the number of processes.
                loss = loss + penalty(
                    network, (real,), (real,), grad=wrapper.grad
                )
        wrapper.update_params(loss)
    assert wrapper.skipped_steps == 0
    assert wrapper.record.windows == 2
    return [p.detach().clone() for p in bare.parameters()]


def batches(counts):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(8, 1, 8, 8, generator=generator) for _ in range(2 * counts)
    ]


def in_a_rank(rank, world_size, dtype, counts):
    network = DistributedDataParallel(make_network())
    mine = [batch.chunk(world_size)[rank] for batch in batches(counts)]
    return train(network, mine, dtype, counts)


@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
def test_two_ranks_equal_one_process(in_ranks, dtype):
    counts = 2
    expected = train(make_network(), batches(counts), dtype, counts)
    ranks = in_ranks(2, in_a_rank, dtype, counts)
    start = list(make_network().parameters())
    for first, second, whole, before in zip(
        *ranks, expected, start, strict=True
    ):
        assert torch.equal(first, second)
        moved, wanted = first - before, whole - before
        assert wanted.norm() > 0
        tolerance = dict(float32=1e-4, float16=1e-2, bfloat16=5e-2)[dtype]
        assert (moved - wanted).norm() <= tolerance * wanted.norm()
