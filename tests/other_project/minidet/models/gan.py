"""Two optimizers, and a ``train_step`` as MMagic's GANs have it."""

import torch
from mmengine.model import BaseModel
from torch import nn
from torch.nn.functional import softplus

from minidet.registry import MODELS


def _block(inputs, outputs, norm):
    layers = [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
    return [layers[0], nn.BatchNorm1d(outputs), layers[1]] if norm else layers


@MODELS.register_module()
class GAN(BaseModel):
    """The generator is trained each time that the discriminator was."""

    def __init__(self, disc_steps=1, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.disc_steps = disc_steps
        self.generator = nn.Sequential(
            *_block(4, 16, True), nn.Linear(16, 64), nn.Tanh()
        )
        self.discriminator = nn.Sequential(
            *_block(64, 16, False), nn.Linear(16, 1)
        )

    def forward(self, inputs, gt_label=None, mode='tensor'):
        latents = torch.linspace(-1, 1, 4, device=inputs.device)
        fakes = self.generator(latents.expand(len(inputs), 4))
        return [dict(fake=fake.float()) for fake in fakes]

    def _latents(self, inputs):
        return torch.randn(len(inputs), 4, device=inputs.device)

    def _require(self, network, value):
        for param in network.parameters():
            param.requires_grad = value

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        reals = data['inputs'].flatten(1)
        disc_wrapper = optim_wrapper['discriminator']
        gen_wrapper = optim_wrapper['generator']

        with disc_wrapper.optim_context(self.discriminator):
            log_vars = self._train_discriminator(reals, disc_wrapper)
        windows = self.disc_steps * disc_wrapper._accumulative_counts
        if (disc_wrapper._inner_count % windows) == 0:
            self._require(self.discriminator, False)
            for _ in range(gen_wrapper._accumulative_counts):
                with gen_wrapper.optim_context(self.generator):
                    log_vars |= self._train_generator(reals, gen_wrapper)
            self._require(self.discriminator, True)
        return log_vars

    def _train_discriminator(self, reals, optim_wrapper):
        with torch.no_grad():
            fakes = self.generator(self._latents(reals))
        losses = dict(
            loss_real=softplus(-self.discriminator(reals)).mean(),
            loss_fake=softplus(self.discriminator(fakes)).mean(),
        )
        loss, log_vars = self.parse_losses(losses)
        optim_wrapper.update_params(loss)
        log_vars['loss_disc'] = log_vars.pop('loss')
        return log_vars

    def _train_generator(self, reals, optim_wrapper):
        fakes = self.generator(self._latents(reals))
        losses = dict(loss_gen=softplus(-self.discriminator(fakes)).mean())
        loss, log_vars = self.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return log_vars
