# The structure of mmedit/models/inpaintors/gl_inpaintor.py of MMEditing
# 0.16.1; its counterpart is
# mmagic/models/editors/global_local/gl_inpaintor.py of MMagic 1.2.0.
from ..common import set_requires_grad
from ..registry import MODELS
from .one_stage import OneStageInpaintor


@MODELS.register_module()
class GlobalLocal(OneStageInpaintor):

    def train_step(self, data_batch, optimizer):
        log_vars = {}
        gt_img = data_batch['gt_img']
        fake_res = self.generator(gt_img)

        # in turn
        if self.cur_iter > self.train_cfg.iter_tc:
            set_requires_grad(self.disc, True)
            losses = self.forward_train_d(fake_res.detach(), False, True)
            loss_disc, log_vars_d = self.parse_losses(losses)
            log_vars.update(log_vars_d)
            optimizer['disc'].zero_grad()
            loss_disc.backward()
            losses = self.forward_train_d(gt_img, True, True)
            loss_disc, log_vars_d = self.parse_losses(losses)
            log_vars.update(log_vars_d)
            loss_disc.backward()
            optimizer['disc'].step()

            if self.cur_iter <= self.train_cfg.iter_td:
                results = dict(gt_img=gt_img.cpu())
                outputs = dict(
                    log_vars=log_vars,
                    num_samples=len(gt_img.data),
                    results=results)
                self.cur_iter += 1
                return outputs

        set_requires_grad(self.disc, False)
        if self.cur_iter > self.train_cfg.iter_td:
            results, g_losses = self.generator_loss(fake_res, data_batch)
            loss_g, log_vars_g = self.parse_losses(g_losses)
            log_vars.update(log_vars_g)
            optimizer['generator'].zero_grad()
            loss_g.backward()
            optimizer['generator'].step()
            results.update(fake=fake_res.cpu())
            outputs = dict(
                log_vars=log_vars,
                num_samples=len(gt_img.data),
                results=results)

        self.cur_iter += 1

        return outputs
