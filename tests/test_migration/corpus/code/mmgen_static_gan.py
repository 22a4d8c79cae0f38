# The structure of mmgen/models/gans/static_unconditional_gan.py of
# MMGeneration 0.7.3; its counterpart is mmagic/models/base_models/base_gan.py
# of MMagic 1.2.0.
import torch
from mmcv.parallel import is_module_wrapper
from torch.nn.parallel.distributed import _find_tensors

from ..builder import MODELS, build_module
from ..common import set_requires_grad
from .base_gan import BaseGAN


@MODELS.register_module()
class StaticGAN(BaseGAN):
    """A GAN whose networks stay as they are."""

    def __init__(self, generator, discriminator, gan_loss):
        super().__init__()
        self.generator = build_module(generator)
        self.discriminator = build_module(discriminator)
        self.gan_loss = build_module(gan_loss)
        self.fp16_enabled = False  # set by the runner
        self.is_wrapped = is_module_wrapper(self.generator)

    def train_step(self,
                   data_batch,
                   optimizer,
                   ddp_reducer=None,
                   loss_scaler=None,
                   use_apex_amp=False,
                   running_status=None):
        """One iteration."""
        real = data_batch[self.real_img_key]
        num = real.shape[0]

        # where the run is
        if running_status is not None:
            curr_iter = running_status['iteration']
        else:
            # nobody says, so count
            if not hasattr(self, 'iteration'):
                self.iteration = 0
            curr_iter = self.iteration

        # the discriminator
        set_requires_grad(self.discriminator, True)
        optimizer['discriminator'].zero_grad()
        with torch.no_grad():
            fake = self.generator(None, num_batches=num)

        # predictions
        pred_fake = self.discriminator(fake)
        pred_real = self.discriminator(real)
        parts = dict(
            disc=self.discriminator,
            disc_pred_fake=pred_fake,
            disc_pred_real=pred_real,
            real_imgs=real,
            iteration=curr_iter,
            loss_scaler=loss_scaler)
        loss_disc, log_vars_disc = self._get_disc_loss(parts)

        # what DDP needs
        if ddp_reducer is not None:
            ddp_reducer.prepare_for_backward(_find_tensors(loss_disc))

        if loss_scaler:
            # half precision
            loss_scaler.scale(loss_disc).backward()
        elif use_apex_amp:
            from apex import amp
            with amp.scale_loss(
                    loss_disc, optimizer['discriminator'],
                    loss_id=0) as scaled:
                scaled.backward()
        else:
            loss_disc.backward()

        if loss_scaler:
            loss_scaler.unscale_(optimizer['discriminator'])
            # no clipping
            loss_scaler.step(optimizer['discriminator'])
        else:
            optimizer['discriminator'].step()

        if (curr_iter + 1) % self.disc_steps != 0:
            results = dict(fake_imgs=fake.cpu(), real_imgs=real.cpu())
            outputs = dict(
                log_vars=log_vars_disc, num_samples=num, results=results)
            if hasattr(self, 'iteration'):
                self.iteration += 1
            return outputs

        # the generator
        set_requires_grad(self.discriminator, False)
        optimizer['generator'].zero_grad()
        fake = self.generator(None, num_batches=num)
        parts = dict(
            gen=self.generator,
            disc_pred_fake_g=self.discriminator(fake),
            iteration=curr_iter,
            loss_scaler=loss_scaler)
        loss_gen, log_vars_g = self._get_gen_loss(parts)

        if ddp_reducer is not None:
            ddp_reducer.prepare_for_backward(_find_tensors(loss_gen))

        if loss_scaler:
            loss_scaler.scale(loss_gen).backward()
        elif use_apex_amp:
            from apex import amp
            with amp.scale_loss(
                    loss_gen, optimizer['generator'], loss_id=1) as scaled:
                scaled.backward()
        else:
            loss_gen.backward()

        if loss_scaler:
            loss_scaler.unscale_(optimizer['generator'])
            loss_scaler.step(optimizer['generator'])
        else:
            optimizer['generator'].step()

        log_vars = {}
        log_vars.update(log_vars_g)
        log_vars.update(log_vars_disc)
        results = dict(fake_imgs=fake.cpu(), real_imgs=real.cpu())
        outputs = dict(log_vars=log_vars, num_samples=num, results=results)
        if hasattr(self, 'iteration'):
            self.iteration += 1
        return outputs
