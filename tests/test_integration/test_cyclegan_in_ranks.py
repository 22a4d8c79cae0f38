"""Several networks a side, and pools that all ranks share, in real ranks."""

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner.checkpoint import get_state_dict
from torch import nn

from mmamp import SeparateDistributedDataParallel
from mmamp.models import CycleGAN
from mmamp.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

UPDATES = 5


@MODELS.register_module(force=True)
class SmoothNetwork(nn.Sequential):
    """Without kinks, at which rounding errors grow from step to step."""

    def __init__(self, bounded):
        super().__init__(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(4, 1, 3, padding=1),
            nn.Tanh() if bounded else nn.Identity(),
        )


def make_gan():
    torch.manual_seed(0)
    return CycleGAN(
        dict(type='mmamp.SmoothNetwork', bounded=True),
        dict(type='mmamp.SmoothNetwork', bounded=False),
        # Full in the middle of the second batch.
        pool_size=12,
        ema_config=dict(momentum=0.1),
    )


def make_wrappers(model, counts):
    def of(modules):
        return dict(
            modules=modules,
            type='mmamp.AmpOptimWrapper',
            dtype='float32',
            accumulative_counts=counts,
            optimizer=dict(type='SGD', lr=0.02),
        )

    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='mmamp.OptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                generator=of(['generator_ab', 'generator_ba']),
                discriminator=of(['discriminator_a', 'discriminator_b']),
            ),
        )
    )
    return constructor(model)


def pictures(update):
    generator = torch.Generator().manual_seed(update)
    return torch.randint(
        0, 256, (2, 8, 1, 8, 8), generator=generator, dtype=torch.uint8
    )


def train(rank, world_size, counts):
    """Eight pairs an update, dealt out as torch's samplers do."""
    hub = MessageHub.get_instance(f'{world_size} ranks, {counts} counts')
    hub.update_info('seed', 1)
    hub.update_info('max_iters', UPDATES * counts)
    gan = make_gan()
    model = SeparateDistributedDataParallel(gan) if world_size > 1 else gan
    wrappers = make_wrappers(model, counts)
    for i in range(UPDATES * counts):
        hub.update_info('iter', i)
        mine = pictures(i // counts)[:, rank::world_size]
        inputs, target = mine.chunk(counts, 1)[i % counts]
        model.train_step(
            dict(inputs=inputs, data_samples=dict(target_img=target)), wrappers
        )
    return {k: v.clone() for k, v in get_state_dict(gan).items()}


@pytest.mark.slow
def test_ranks_equal_one_process(in_ranks):
    """With accumulation, without, and as ranks: the same eight pairs."""
    whole = train(0, 1, 1)
    begun = make_gan().state_dict()
    for name in ('generator_ab', 'generator_ba', 'discriminator_a'):
        key = next(k for k in whole if k.startswith(name) and 'weight' in k)
        assert not torch.allclose(whole[key], begun[key], atol=1e-3)
    assert whole['pool_b.images'].shape == (12, 1, 8, 8)
    accumulated = train(0, 1, 2)
    ranks = in_ranks(2, train, 1)
    for name, value in whole.items():
        if name.endswith('_ema.steps'):
            continue
        torch.testing.assert_close(
            accumulated[name], value, rtol=1e-4, atol=1e-5, msg=name
        )
        for rank in ranks:
            torch.testing.assert_close(
                rank[name], value, rtol=1e-4, atol=1e-5, msg=name
            )
            # Averages and pools included.
            assert torch.equal(rank[name], ranks[0][name]), name
