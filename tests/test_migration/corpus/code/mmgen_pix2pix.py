# The structure of mmgen/models/translation_models/pix2pix.py of MMGeneration
# 0.7.3; its counterpart is mmagic/models/editors/pix2pix/pix2pix.py of MMagic
# 1.2.0.
from torch.nn.parallel.distributed import _find_tensors

from mmgen.models.builder import MODELS
from ..common import set_requires_grad
from .static_translation_gan import StaticTranslationGAN


@MODELS.register_module()
class Paired(StaticTranslationGAN):

    def _get_disc_loss(self, outputs):
        fake = outputs[f'fake_{self._default_domain}']
        pred = self.discriminators[self._default_domain](fake.detach())
        loss_d, log_vars_d = self._parse_losses(dict(loss_d=pred.mean()))
        loss_d *= 0.5
        return loss_d, log_vars_d

    def train_step(self,
                   data_batch,
                   optimizer,
                   ddp_reducer=None,
                   running_status=None):
        domain = self._default_domain
        image = data_batch[f'img_{domain}']
        if running_status is not None:
            curr_iter = running_status['iteration']
        else:
            if not hasattr(self, 'iteration'):
                self.iteration = 0
            curr_iter = self.iteration

        # translate
        outputs = dict()
        results = self(image, target_domain=domain, test_mode=False)
        outputs[f'fake_{domain}'] = results['target']
        log_vars = dict()

        set_requires_grad(self.discriminators, True)
        # optimize
        optimizer['discriminators'].zero_grad()
        loss_d, log_vars_d = self._get_disc_loss(outputs)
        log_vars.update(log_vars_d)
        if ddp_reducer is not None:
            ddp_reducer.prepare_for_backward(_find_tensors(loss_d))
        loss_d.backward()
        optimizer['discriminators'].step()

        # the discriminators stay
        if (curr_iter % self.disc_steps == 0
                and curr_iter >= self.disc_init_steps):
            set_requires_grad(self.discriminators, False)
            optimizer['generators'].zero_grad()
            loss_g, log_vars_g = self._get_gen_loss(outputs)
            log_vars.update(log_vars_g)
            if ddp_reducer is not None:
                ddp_reducer.prepare_for_backward(_find_tensors(loss_g))
            loss_g.backward()
            optimizer['generators'].step()

        if hasattr(self, 'iteration'):
            self.iteration += 1

        pictures = dict()
        pictures[f'fake_{domain}'] = outputs[f'fake_{domain}'].cpu()
        results = dict(
            log_vars=log_vars, num_samples=len(image), results=pictures)
        return results
