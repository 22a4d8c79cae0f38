"""Adversarial losses."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmamp.registry import MODELS
from mmamp.utils.checks import check_choice


def _vanilla(pred: Tensor, is_real: bool, for_disc: bool) -> Tensor:
    target = torch.full_like(pred, float(is_real))
    return F.binary_cross_entropy_with_logits(pred, target)


def _logistic(pred: Tensor, is_real: bool, for_disc: bool) -> Tensor:
    return F.softplus(-pred if is_real else pred).mean()


def _lsgan(pred: Tensor, is_real: bool, for_disc: bool) -> Tensor:
    return F.mse_loss(pred, torch.full_like(pred, float(is_real)))


def _wgan(pred: Tensor, is_real: bool, for_disc: bool) -> Tensor:
    return -pred.mean() if is_real else pred.mean()


def _hinge(pred: Tensor, is_real: bool, for_disc: bool) -> Tensor:
    if not for_disc:
        return _wgan(pred, is_real, for_disc)
    return F.relu(1 - pred if is_real else 1 + pred).mean()


_LOSSES: dict[str, Callable[[Tensor, bool, bool], Tensor]] = {
    'vanilla': _vanilla,
    'logistic': _logistic,
    'lsgan': _lsgan,
    'wgan': _wgan,
    'hinge': _hinge,
}


@MODELS.register_module()
class GANLoss(nn.Module):
    """The adversarial loss, of one prediction against one target.

    Computed in float32 whatever the dtype of the prediction.

    - ``'vanilla'``: binary cross entropy on logits; the generator's target is
      "real" (Goodfellow et al., 2014, the form used in practice there).
    - ``'logistic'``: the non-saturating logistic loss in softplus form, as in
      StyleGAN (Karras et al., 2019).
    - ``'lsgan'``: least squares (Mao et al., 2017).
    - ``'wgan'``: the critic's mean (Arjovsky et al., 2017); needs a gradient
      penalty or clipped weights beside it.
    - ``'hinge'``: Lim and Ye, 2017; Miyato et al., 2018.

    Args:
        gan_type (str): One of those names.
        loss_weight (float): Weight of the generator's loss; the
            discriminator's is 1. Defaults to 1.

    Raises:
        ValueError: If ``gan_type`` is unknown.

    Examples:
        >>> gan_loss = dict(type='mmamp.GANLoss', gan_type='hinge')
    """

    def __init__(self, gan_type: str, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.gan_type = check_choice('gan_type', gan_type, _LOSSES)
        self.loss_weight = loss_weight
        self._loss = _LOSSES[gan_type]

    def forward(
        self, pred: Tensor, target_is_real: bool, is_disc: bool = False
    ) -> Tensor:
        """Compute the loss of a batch of predictions.

        Args:
            pred (Tensor): Logits of the discriminator, of any shape.
            target_is_real (bool): What they should have said.
            is_disc (bool): Whether the discriminator is being trained.
                Defaults to False.

        Returns:
            Tensor: Scalar, float32.
        """
        loss = self._loss(pred.float(), target_is_real, is_disc)
        return loss if is_disc else loss * self.loss_weight

    def extra_repr(self) -> str:
        """Show the settings in the printed model."""
        return f'gan_type={self.gan_type!r}, loss_weight={self.loss_weight}'


@MODELS.register_module()
class RelativisticGANLoss(nn.Module):
    """The relativistic average loss: how real an image is beside the others.

    Jolicoeur-Martineau, "The relativistic discriminator: a key element missing
    from standard GAN", 2018; in the form of Wang et al., "ESRGAN", 2018,
    equations 1 and 2. The average is over a micro-batch of one rank. Computed
    in float32 whatever the dtype of the predictions.

    Args:
        loss_weight (float): Weight of the generator's loss; the
            discriminator's is 1. Defaults to 1.

    Examples:
        >>> gan_loss = dict(type='mmamp.RelativisticGANLoss', loss_weight=5e-3)
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self, pred_real: Tensor, pred_fake: Tensor, is_disc: bool = False
    ) -> Tensor:
        """Compute the loss of a batch of predictions.

        Args:
            pred_real (Tensor): Logits of real images, of any shape.
            pred_fake (Tensor): Those of generated images, of any shape.
            is_disc (bool): Whether the discriminator is being trained; the
                generator wants the opposite. Defaults to False.

        Returns:
            Tensor: Scalar, float32.
        """
        real, fake = pred_real.float(), pred_fake.float()
        loss = _vanilla(real - fake.mean(), is_disc, is_disc) + _vanilla(
            fake - real.mean(), not is_disc, is_disc
        )
        return loss if is_disc else loss * self.loss_weight

    def extra_repr(self) -> str:
        """Show the settings in the printed model."""
        return f'loss_weight={self.loss_weight}'
