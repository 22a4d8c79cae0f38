# The structure of mmedit/models/inpaintors/one_stage.py of MMEditing 0.16.1;
# its counterpart is mmagic/models/base_models/one_stage.py of MMagic 1.2.0.
import torch
from mmcv.runner import auto_fp16

from ..base import BaseModel
from ..common import set_requires_grad
from ..registry import MODELS


@MODELS.register_module()
class Inpaintor(BaseModel):

    @auto_fp16(apply_to=('masked_img', 'mask'))
    def forward(self, masked_img, mask, test_mode=True, **kwargs):
        return self.generator(torch.cat([masked_img, mask], dim=1))

    def train_step(self, data_batch, optimizer):
        log_vars = {}
        gt_img = data_batch['gt_img']
        mask = data_batch['mask']

        fake_res = self.generator(torch.cat([gt_img, mask], dim=1))
        fake_img = gt_img * (1. - mask) + fake_res * mask

        if self.train_cfg.disc_step > 0:
            set_requires_grad(self.disc, True)
            losses = self.forward_train_d(fake_img.detach(), False)
            loss_disc, log_vars_d = self.parse_losses(losses)
            log_vars.update(log_vars_d)
            optimizer['disc'].zero_grad()
            loss_disc.backward()

            losses = self.forward_train_d(gt_img, True)
            loss_disc, log_vars_d = self.parse_losses(losses)
            log_vars.update(log_vars_d)
            loss_disc.backward()

            if self.with_gp_loss:
                # a penalty
                loss_d_gp = self.loss_gp(self.disc, gt_img, fake_img)
                loss_disc, log_vars_d = self.parse_losses(
                    dict(loss_gp=loss_d_gp))
                log_vars.update(log_vars_d)
                loss_disc.backward()

            optimizer['disc'].step()

            self.count = (self.count + 1) % self.train_cfg.disc_step
            if self.count != 0:
                # for the pictures
                results = dict(
                    gt_img=gt_img.cpu(), fake_img=fake_img.cpu())
                outputs = dict(
                    log_vars=log_vars,
                    num_samples=len(data_batch['gt_img'].data),
                    results=results)

                return outputs

        # the generator
        if self.with_gan:
            set_requires_grad(self.disc, False)
        results, g_losses = self.generator_loss(fake_res, data_batch)
        loss_g, log_vars_g = self.parse_losses(g_losses)
        log_vars.update(log_vars_g)
        optimizer['generator'].zero_grad()
        loss_g.backward()
        optimizer['generator'].step()

        outputs = dict(
            log_vars=log_vars,
            num_samples=len(data_batch['gt_img'].data),
            results=results)

        return outputs
