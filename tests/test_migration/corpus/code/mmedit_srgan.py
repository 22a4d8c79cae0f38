# The structure of mmedit/models/restorers/srgan.py of MMEditing 0.16.1; its
# counterpart is mmagic/models/editors/srgan/srgan.py of MMagic 1.2.0.
from mmcv.runner import auto_fp16

from ..builder import build_component
from ..common import set_requires_grad
from ..registry import MODELS
from .basic_restorer import BasicRestorer


@MODELS.register_module()
class Sharper(BasicRestorer):

    def __init__(self, discriminator=None):
        super().__init__()
        self.discriminator = build_component(discriminator)
        self.step_counter = 0

    @auto_fp16(apply_to=('lq', ))
    def forward(self, lq, gt=None, test_mode=False):
        return self.generator(lq)

    def train_step(self, data_batch, optimizer):
        lq = data_batch['lq']
        gt = data_batch['gt']

        # generator
        fake = self.generator(lq)
        losses = dict()
        log_vars = dict()

        # the discriminator stays
        set_requires_grad(self.discriminator, False)
        if self.step_counter % self.disc_steps == 0:
            if self.pixel_loss:
                losses['loss_pix'] = self.pixel_loss(fake, gt)
            # against the discriminator
            losses['loss_gan'] = self.gan_loss(
                self.discriminator(fake), target_is_real=True, is_disc=False)
            loss_g, log_vars_g = self.parse_losses(losses)
            log_vars.update(log_vars_g)
            # optimize
            optimizer['generator'].zero_grad()
            loss_g.backward()
            optimizer['generator'].step()

        # discriminator
        set_requires_grad(self.discriminator, True)
        # real
        loss_d_real = self.gan_loss(
            self.discriminator(gt), target_is_real=True, is_disc=True)
        loss_d, log_vars_d = self.parse_losses(dict(loss_d_real=loss_d_real))
        optimizer['discriminator'].zero_grad()
        loss_d.backward()
        log_vars.update(log_vars_d)
        # fake
        loss_d_fake = self.gan_loss(
            self.discriminator(fake.detach()),
            target_is_real=False,
            is_disc=True)
        loss_d, log_vars_d = self.parse_losses(dict(loss_d_fake=loss_d_fake))
        loss_d.backward()
        log_vars.update(log_vars_d)

        optimizer['discriminator'].step()

        self.step_counter += 1
        log_vars.pop('loss')  # it is of no use
        outputs = dict(
            log_vars=log_vars,
            num_samples=len(gt.data),
            results=dict(lq=lq.cpu(), gt=gt.cpu(), output=fake.cpu()))
        return outputs
