"""Several updates on a micro-batch, and shared modules, in real ranks."""

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapperDict
from mmengine.runner.checkpoint import get_state_dict
from torch import nn

from mmamp import (
    AmpOptimWrapper,
    BaseGAN,
    SeparateDistributedDataParallel,
)

UPDATES = 3


class Twice(BaseGAN):
    """Two updates of each side; both may use an encoder beside them."""

    def encoded(self, inputs):
        return self.encoder(inputs.flatten(1))

    def disc_loss(self, inputs, data_samples, optimizer_wrapper):
        pred = self.discriminator(self.encoded(inputs))
        return dict(loss_disc=(pred - 3).square().mean())

    def gen_loss(self, inputs, data_samples, optimizer_wrapper):
        pred = self.generator(self.encoded(inputs))
        return dict(loss_gen=(pred + 3).square().mean())

    def train_discriminator(self, *args):
        for _ in range(2):
            yield self.disc_loss(*args)

    def train_generator(self, *args):
        for _ in range(2):
            yield self.gen_loss(*args)


def train(rank, world_size, counts, owner):
    """Sixteen images an update; one side's optimizer has the encoder."""
    hub = MessageHub.get_instance(f'{world_size} ranks, {counts} counts')
    hub.update_info('max_iters', UPDATES * counts)
    torch.manual_seed(0)
    gan = Twice(nn.Linear(4, 1), nn.Linear(4, 1))
    gan.encoder = nn.Linear(4, 4)
    params = {
        role: list(getattr(gan, role).parameters())
        for role in ('generator', 'discriminator')
    }
    params[owner] += gan.encoder.parameters()
    model = SeparateDistributedDataParallel(gan) if world_size > 1 else gan
    wrappers = OptimWrapperDict(
        **{
            role: AmpOptimWrapper(
                torch.optim.SGD(found, lr=0.05),
                dtype='float32',
                accumulative_counts=counts,
            )
            for role, found in params.items()
        }
    )
    for i in range(UPDATES * counts):
        hub.update_info('iter', i)
        generator = torch.Generator().manual_seed(i // counts)
        images = torch.randint(
            0, 256, (16, 1, 2, 2), generator=generator, dtype=torch.uint8
        )
        mine = images[rank::world_size].chunk(counts)[i % counts]
        model.train_step(dict(inputs=mine), wrappers)
    state = get_state_dict(gan)
    return {name: value.clone() for name, value in state.items()}


@pytest.mark.parametrize('counts', [1, 2])
@pytest.mark.parametrize('owner', ['generator', 'discriminator'])
def test_ranks_equal_one_process(in_ranks, counts, owner):
    whole = train(0, 1, counts, owner)
    for state in in_ranks(2, train, counts, owner):
        for name, value in whole.items():
            torch.testing.assert_close(state[name], value)
