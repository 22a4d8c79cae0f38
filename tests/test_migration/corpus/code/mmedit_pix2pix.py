# The structure of mmedit/models/synthesizers/pix2pix.py of MMEditing 0.16.1;
# its counterpart is mmagic/models/editors/pix2pix/pix2pix.py of MMagic 1.2.0.
import torch
from mmcv.runner import auto_fp16

from ..base import BaseModel
from ..builder import build_backbone, build_component
from ..common import set_requires_grad
from ..registry import MODELS


@MODELS.register_module()
class Pairs(BaseModel):

    def __init__(self, generator, discriminator):
        super().__init__()
        self.generator = build_backbone(generator)
        self.discriminator = build_component(discriminator)

    @auto_fp16(apply_to=('img_a', 'img_b'))
    def forward_train(self, img_a, img_b, meta):
        return dict(real_a=img_a, fake_b=self.generator(img_a), real_b=img_b)

    def backward_discriminator(self, outputs):
        losses = dict()
        # with its condition
        fake_ab = torch.cat((outputs['real_a'], outputs['fake_b']), 1)
        losses['loss_d'] = self.gan_loss(self.discriminator(fake_ab.detach()))
        loss_d, log_vars_d = self.parse_losses(losses)
        loss_d *= 0.5
        loss_d.backward()
        return log_vars_d

    def backward_generator(self, outputs):
        losses = dict()
        fake_ab = torch.cat((outputs['real_a'], outputs['fake_b']), 1)
        losses['loss_g'] = self.gan_loss(self.discriminator(fake_ab))
        loss_g, log_vars_g = self.parse_losses(losses)
        loss_g.backward()
        return log_vars_g

    def train_step(self, data_batch, optimizer):
        img_a = data_batch['img_a']
        img_b = data_batch['img_b']

        # forward
        outputs = self.forward(img_a, img_b, None, test_mode=False)
        log_vars = dict()

        set_requires_grad(self.discriminator, True)
        # optimize
        optimizer['discriminator'].zero_grad()
        log_vars.update(self.backward_discriminator(outputs=outputs))
        optimizer['discriminator'].step()

        if self.step_counter % self.disc_steps == 0:
            set_requires_grad(self.discriminator, False)
            optimizer['generator'].zero_grad()
            log_vars.update(self.backward_generator(outputs=outputs))
            optimizer['generator'].step()

        self.step_counter += 1
        results = dict(
            log_vars=log_vars,
            num_samples=len(outputs['real_a']),
            results=dict(fake_b=outputs['fake_b'].cpu()))

        return results
