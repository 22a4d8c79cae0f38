# The structure of r1_gradient_penalty_loss in
# mmgen/models/losses/disc_auxiliary_loss.py of MMGeneration 0.7.3; its
# counterpart is mmagic/models/losses/gan_loss.py of MMagic 1.2.0, which
# leaves out loss scalers.
import torch
import torch.autograd as autograd
import torch.nn as nn

from mmgen.models.builder import MODULES


def r1_penalty(discriminator, real, loss_scaler=None, use_apex_amp=False):
    """R1."""
    real = real.clone().requires_grad_()
    pred = discriminator(real)
    if loss_scaler:
        pred = loss_scaler.scale(pred)
    elif use_apex_amp:
        from apex.amp._amp_state import _amp_state
        _loss_scaler = _amp_state.loss_scalers[0]
        pred = _loss_scaler.loss_scale() * pred.float()
    gradients = autograd.grad(
        outputs=pred,
        inputs=real,
        grad_outputs=torch.ones_like(pred),
        create_graph=True,
        only_inputs=True)[0]
    if loss_scaler:
        # as if it had not been scaled
        gradients = gradients / loss_scaler.get_scale()
    elif use_apex_amp:
        gradients = gradients / _loss_scaler.loss_scale()
    return gradients.pow(2).sum()


@MODULES.register_module()
class R1Penalty(nn.Module):

    def __init__(self, loss_weight=1., data_info=None, use_apex_amp=False):
        super().__init__()
        self.loss_weight = loss_weight
        self.data_info = data_info
        self.use_apex_amp = use_apex_amp

    def forward(self, outputs_dict):
        given = {k: outputs_dict[v] for k, v in self.data_info.items()}
        given.update(dict(use_apex_amp=self.use_apex_amp))
        return self.loss_weight * r1_penalty(**given)
