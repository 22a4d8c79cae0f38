# The structure of mmedit/models/mattors/dim.py and gca.py of MMEditing 0.16.1;
# their counterpart, mmagic/models/base_models/base_mattor.py of MMagic 1.2.0,
# leaves the training step to BaseModel of MMEngine.
from mmcv.runner import auto_fp16, force_fp32

from ..builder import build_loss
from ..registry import MODELS
from .base_mattor import BaseMattor


@MODELS.register_module()
class Mattor(BaseMattor):

    def __init__(self, loss_alpha=None):
        super().__init__()
        self.loss_alpha = build_loss(loss_alpha)
        self.fp16_enabled = False

    @auto_fp16()
    def _forward(self, x, refine):
        return self.backbone(x)

    @force_fp32(apply_to=('pred', ))
    def loss(self, pred, alpha):
        return dict(loss_alpha=self.loss_alpha(pred, alpha))

    def train_step(self, data_batch, optimizer):
        outputs = self(**data_batch, test_mode=False)
        loss, log_vars = self.parse_losses(outputs.pop('losses'))
        # optimize
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        outputs.update({'log_vars': log_vars})
        return outputs
