# The structure of mmgen/models/gans/singan.py of MMGeneration 0.7.3; its
# counterpart, mmagic/models/editors/singan/singan.py of MMagic 1.2.0, has an
# optimizer wrapper for each scale.
import torch

from ..builder import MODELS
from .base_gan import BaseGAN


@MODELS.register_module()
class OneImage(BaseGAN):

    def train_step(self, data_batch, optimizer, ddp_reducer=None):
        if self.is_new_scale():
            # optimizers for this scale
            self.optimizer = dict(
                generator=torch.optim.Adam(self.generator.parameters()))
        optimizer = self.optimizer
        optimizer['generator'].zero_grad()
        loss, log_vars = self._get_gen_loss(self.generator(data_batch))
        loss.backward()
        optimizer['generator'].step()
        return dict(log_vars=log_vars, num_samples=1)
