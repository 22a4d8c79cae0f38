"""GANs in real process groups: what all ranks together have to be."""

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner.checkpoint import get_state_dict
from torch import nn
from torch.profiler import ProfilerActivity, profile

from mmamp import SeparateDistributedDataParallel
from mmamp.models import ImageGAN
from mmamp.registry import OPTIM_WRAPPER_CONSTRUCTORS

UPDATES = 4


def make_gan():
    torch.manual_seed(0)
    return ImageGAN(
        nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Unflatten(1, (1, 4, 4))),
        nn.Sequential(
            nn.Flatten(), nn.Linear(16, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)
        ),
        noise_size=6,
        ema_config=dict(momentum=0.1),
        disc_regularizers=[
            dict(type='mmamp.R1', interval=2),
            dict(type='mmamp.WGANGP', weight=1.0),
        ],
    )


def make_wrappers(gan, dtype, counts):
    def of(name):
        return dict(
            type='mmamp.AmpOptimWrapper',
            dtype=dtype,
            accumulative_counts=counts,
            clip_grad=dict(max_norm=1.0),
            optimizer=dict(type='SGD', lr=0.1),
        )

    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='mmamp.OptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                generator=of('generator'), discriminator=of('discriminator')
            ),
        )
    )
    return constructor(gan)


def real_images(update, num=16):
    generator = torch.Generator().manual_seed(update)
    return torch.randint(
        0, 256, (num, 1, 4, 4), generator=generator, dtype=torch.uint8
    )


def train(rank, world_size, counts, dtype='float32', poison=None):
    """Sixteen images an update, dealt out as torch's samplers do."""
    hub = MessageHub.get_instance(f'{world_size} ranks, {counts} counts')
    hub.update_info('seed', 1)
    hub.update_info('max_iters', UPDATES * counts)
    gan = make_gan()
    model = SeparateDistributedDataParallel(gan) if world_size > 1 else gan
    wrappers = make_wrappers(model, dtype, counts)
    skipped = []
    for i in range(UPDATES * counts):
        hub.update_info('iter', i)
        mine = real_images(i // counts)[rank::world_size].chunk(counts)
        inputs = mine[i % counts]
        if (rank, i) == poison:
            param = next(gan.discriminator.parameters())
            handle = param.register_hook(
                lambda g: torch.full_like(g, torch.inf)
            )
        model.train_step(dict(inputs=inputs, data_samples={}), wrappers)
        if (rank, i) == poison:
            handle.remove()
        skipped.append(wrappers['discriminator'].skipped_steps)
    scales = [w.loss_scaler.get_scale() for w in wrappers.values()]
    state = {
        name: value.clone() for name, value in get_state_dict(gan).items()
    }
    return dict(state=state, skipped=skipped, scales=scales)


@pytest.mark.parametrize('world_size', [2, 4])
def test_ranks_equal_one_process(in_ranks, world_size):
    """With accumulation, without, and as ranks: the same sixteen images."""
    whole = train(0, 1, 1)['state']
    accumulated = train(0, 1, 2)['state']
    ranks = in_ranks(world_size, train, 1)
    moved = make_gan().state_dict()
    assert not torch.allclose(
        whole['generator.0.weight'], moved['generator.0.weight'], atol=1e-3
    )
    for name, value in whole.items():
        torch.testing.assert_close(accumulated[name], value)
        for rank in ranks:
            torch.testing.assert_close(rank['state'][name], value)
            # EMA included.
            assert torch.equal(rank['state'][name], ranks[0]['state'][name])


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_non_finite_on_one_rank_skips_on_all(in_ranks, dtype):
    """In a micro-batch that is not synchronised itself."""
    one, other = in_ranks(2, train, 2, dtype, (1, 2))
    assert one['skipped'] == other['skipped'] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert one['scales'] == other['scales']
    if dtype == 'float16':
        assert one['scales'] == [2.0**16, 2.0**15]
    for name, value in one['state'].items():
        assert value.isfinite().all()
        assert torch.equal(other['state'][name], value), name


def count_collectives(rank, world_size, counts):
    gan = make_gan()
    gan.disc_regularizers = nn.ModuleList()
    model = SeparateDistributedDataParallel(gan)
    wrappers = make_wrappers(model, 'float16', counts)
    found = []
    for i in range(3 * counts):
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            inputs = real_images(i, 4)
            model.train_step(dict(inputs=inputs, data_samples={}), wrappers)
        events = profiler.key_averages()
        found.append(
            sum(
                event.count
                for event in events
                if event.key.startswith('gloo:')
            )
        )
    return found


@pytest.mark.parametrize('counts', [1, 4])
def test_each_network_synchronises_once_a_window(in_ranks, counts):
    """One all-reduce each; these networks fit into one bucket."""
    for found in in_ranks(2, count_collectives, counts):
        # After the first window DDP rebuilds its buckets.
        assert found[2 * counts :] == [0] * (counts - 1) + [2]
        # In the first iteration ranks agree on a seed.
        assert found[: counts - 1] == [1, 0, 0][: counts - 1]


def own_train_step(rank, world_size):
    """`optim_context` gets the whole model, which is not wrapped itself."""
    gan = make_gan()
    model = SeparateDistributedDataParallel(gan)
    wrappers = make_wrappers(model, 'float32', 2)
    wrapper = wrappers['discriminator']
    norms = []
    for i in range(2):
        images = real_images(rank + 2 * i, 4).float() / 255
        with wrapper.optim_context(gan):
            loss = gan.discriminator(images).mean()
        wrapper.backward(loss)
        norms.append(gan.discriminator.module[1].weight.grad.clone())
    return norms


def test_a_window_of_the_whole_model(in_ranks):
    one, other = in_ranks(2, own_train_step)
    assert not torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
