# The structure of mmedit/models/restorers/basic_restorer.py of MMEditing
# 0.16.1; its counterpart is BaseModel of MMEngine, which MMagic 1.2.0 leaves
# the training step to.
import mmcv
from mmcv.runner import auto_fp16

from ..base import BaseModel
from ..builder import build_backbone, build_loss
from ..registry import MODELS


@MODELS.register_module()
class Restorer(BaseModel):

    def __init__(self, generator, pixel_loss):
        super().__init__()
        # support fp16
        self.fp16_enabled = False
        self.generator = build_backbone(generator)
        self.pixel_loss = build_loss(pixel_loss)

    @auto_fp16(apply_to=('lq', ))
    def forward(self, lq, gt=None, test_mode=False, **kwargs):
        output = self.generator(lq)
        if test_mode:
            mmcv.imwrite(output, 'out.png')
        return dict(losses=dict(loss_pix=self.pixel_loss(output, gt)))

    def train_step(self, data_batch, optimizer):
        """Train step."""
        outputs = self(**data_batch, test_mode=False)
        loss, log_vars = self.parse_losses(outputs.pop('losses'))

        # optimize
        optimizer['generator'].zero_grad()
        loss.backward()
        optimizer['generator'].step()

        outputs.update({'log_vars': log_vars})
        return outputs
