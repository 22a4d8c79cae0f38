# The structure of mmgen/models/diffusions/base_diffusion.py of MMGeneration
# 0.7.3; its counterpart is mmagic/models/editors/guided_diffusion/adm.py of
# MMagic 1.2.0.
import mmcv
import torch.nn as nn

from ..builder import MODELS, build_module


@MODELS.register_module()
class Diffusion(nn.Module):

    def __init__(self, denoising, num_timesteps):
        super().__init__()
        self.denoising = build_module(
            denoising, default_args=dict(num_timesteps=num_timesteps))

    def train_step(self,
                   data,
                   optimizer,
                   ddp_reducer=None,
                   loss_scaler=None,
                   use_apex_amp=False,
                   running_status=None):
        real = data[self.real_img_key]
        # denoise
        optimizer['denoising'].zero_grad()
        parts = self.reconstruction_step(data, timesteps=self.sampler)
        parts['loss_scaler'] = loss_scaler
        loss, log_vars = self._get_loss(parts)

        if loss_scaler:
            loss_scaler.scale(loss).backward()
        elif use_apex_amp:
            from apex import amp
            with amp.scale_loss(
                    loss, optimizer['denoising'], loss_id=0) as scaled:
                scaled.backward()
        else:
            loss.backward()
        if loss_scaler:
            loss_scaler.unscale_(optimizer['denoising'])
            loss_scaler.step(optimizer['denoising'])
        else:
            optimizer['denoising'].step()

        results = dict(real_imgs=real, x_t=parts['diffusion_batches'])
        outputs = dict(
            log_vars=log_vars, num_samples=real.shape[0], results=results)
        return outputs

    def sample(self, show=False):
        return mmcv.ProgressBar(10) if show else None
