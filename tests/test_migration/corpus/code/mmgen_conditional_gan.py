# The structure of mmgen/models/gans/basic_conditional_gan.py of MMGeneration
# 0.7.3; its counterpart is mmagic/models/base_models/base_gan.py of MMagic
# 1.2.0.
import torch
from torch.nn.parallel.distributed import _find_tensors

from ..builder import MODELS
from ..common import set_requires_grad
from .base_gan import BaseGAN


@MODELS.register_module()
class ConditionalGAN(BaseGAN):

    def train_step(self,
                   data_batch,
                   optimizer,
                   ddp_reducer=None,
                   loss_scaler=None,
                   use_apex_amp=False,
                   running_status=None):
        real = data_batch['img']
        label = data_batch['gt_label']
        curr_iter = running_status['iteration']

        set_requires_grad(self.discriminator, True)
        # gradients add up
        if curr_iter % self.batch_accumulation_steps == 0:
            optimizer['discriminator'].zero_grad()
        with torch.no_grad():
            fake = self.generator(None, num_batches=len(real), label=None)
        pred = self.discriminator(fake, label=label)
        loss_disc, log_vars_disc = self._get_disc_loss(dict(pred=pred))
        loss_disc = loss_disc / float(self.batch_accumulation_steps)
        if ddp_reducer is not None:
            ddp_reducer.prepare_for_backward(_find_tensors(loss_disc))
        if loss_scaler:
            loss_scaler.scale(loss_disc).backward()
        else:
            loss_disc.backward()
        if (curr_iter + 1) % self.batch_accumulation_steps == 0:
            if loss_scaler:
                loss_scaler.unscale_(optimizer['discriminator'])
                loss_scaler.step(optimizer['discriminator'])
            else:
                optimizer['discriminator'].step()

        if (curr_iter + 1) % self.disc_steps != 0:
            outputs = dict(log_vars=log_vars_disc, num_samples=len(real))
            return outputs

        set_requires_grad(self.discriminator, False)
        # several steps
        for _ in range(self.gen_steps):
            optimizer['generator'].zero_grad()
            for _ in range(self.batch_accumulation_steps):
                fake = self.generator(None, num_batches=len(real))
                pred = self.discriminator(fake)
                loss_gen, log_vars_g = self._get_gen_loss(dict(pred=pred))
                loss_gen = loss_gen / float(self.batch_accumulation_steps)
                if ddp_reducer is not None:
                    ddp_reducer.prepare_for_backward(_find_tensors(loss_gen))
                if loss_scaler:
                    loss_scaler.scale(loss_gen).backward()
                else:
                    loss_gen.backward()
            if loss_scaler:
                loss_scaler.unscale_(optimizer['generator'])
                # the runner updates the scale
                loss_scaler.step(optimizer['generator'])
            else:
                optimizer['generator'].step()

        log_vars = {}
        log_vars.update(log_vars_g)
        log_vars.update(log_vars_disc)
        outputs = dict(log_vars=log_vars, num_samples=len(real))
        return outputs
