"""Distances between what a classifier sees in two images."""

import logging
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import VGG
from mmengine.logging import print_log
from torch import Tensor, nn

from mmamp.checkpoint.safe_load import read_weights
from mmamp.registry import MODELS
from mmamp.utils.checks import check_choice

_URL = 'https://download.pytorch.org/models/vgg19-dcbb9e9d.pth'
_WITHOUT = 'configs/srgan/srgan_photos-x4.py'
_CRITERIA = {'l1': F.l1_loss, 'mse': F.mse_loss}
# ImageNet's, as torchvision's weights want them, in pixels from 0 to 255.
_MEAN = [255 * x for x in (0.485, 0.456, 0.406)]
_STD = [255 * x for x in (0.229, 0.224, 0.225)]


def _vgg19() -> Any:
    """Build VGG19's layers, with the names of torchvision's."""
    with torch.device('meta'):  # mmcv would initialise 20 million parameters
        network: Any = VGG(19, with_last_pool=False)
    return network.features


def _layer_names() -> dict[str, int]:
    """Index each layer by the papers' names: ``conv5_4``, ``relu5_4``."""
    names = {}
    stage, conv = 1, 0
    for i, layer in enumerate(_vgg19()):
        if isinstance(layer, nn.MaxPool2d):
            stage, conv = stage + 1, 0
        elif isinstance(layer, nn.Conv2d):
            conv += 1
            names[f'conv{stage}_{conv}'] = i
        else:
            names[f'relu{stage}_{conv}'] = i
    return names


@MODELS.register_module()
class PerceptualLoss(nn.Module):
    """Distance between the VGG19 features of two images.

    SRGAN (Ledig et al., CVPR 2017, section 2.2.1, equation 5) compares
    features after the activation, by their squared difference:
    ``relu5_4`` with ``'mse'``; its features are scaled by 1/12.75, so that
    the loss weighs 0.006. ESRGAN (Wang et al., 2018, section 3.3) takes them
    before the activation, and their absolute difference: ``conv5_4`` with
    ``'l1'``.

    The network is no part of the model: it is frozen, in evaluation mode, in
    no checkpoint and in no optimizer; it moves to the model's device. It runs
    in the precision of the rest of the loss, and features are compared in
    float32. Images are normalised as the model's data preprocessor says, which
    the model tells by :meth:`in_range_of`; else they are in [-1, 1].

    Args:
        layer_weights (dict[str, float]): Weight of each layer, by its name:
            ``conv1_1`` to ``conv5_4``, or ``relu1_1`` to ``relu5_4`` after
            the activation.
        weights (str): File of torchvision's VGG19
            (https://download.pytorch.org/models/vgg19-dcbb9e9d.pth).
        criterion (str): ``'l1'`` or ``'mse'``. Defaults to ``'l1'``.
        loss_weight (float): Of the whole. Defaults to 1.

    The file is read where training begins: to test or to sample needs none.

    Raises:
        FileNotFoundError: If there is no such file, once it is needed.
        ValueError: If a layer or ``criterion`` is unknown, there is no layer,
            or the file does not hold a VGG19.

    Examples:
        >>> perceptual_loss = dict(
        ...     type='mmamp.PerceptualLoss',
        ...     layer_weights=dict(conv5_4=1.0),
        ...     weights='data/vgg19-dcbb9e9d.pth')
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        layer_weights: dict[str, float],
        weights: str,
        criterion: str = 'l1',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice('PerceptualLoss: criterion', criterion, _CRITERIA)
        known = _layer_names()
        if not layer_weights or not set(layer_weights) <= set(known):
            raise ValueError(
                f'PerceptualLoss: layer_weights={layer_weights!r}: give '
                f'weights of some of {", ".join(known)}'
            )
        self.layer_weights = {
            known[name]: weight for name, weight in layer_weights.items()
        }
        self.criterion = criterion
        self.loss_weight = loss_weight
        # In a list, where no state dict, optimizer or model wrapper finds it.
        self._network: list[Any] = []
        self.weights = weights
        for name in ('mean', 'std'):
            self.register_buffer(name, torch.empty(1), persistent=False)
        self._in_range(127.5, 127.5)

    def in_range_of(self, data_preprocessor: Any) -> None:
        """Take images as a data preprocessor has normalised them.

        Args:
            data_preprocessor (nn.Module): With ``mean`` and ``std`` of pixel
                values, numbers or Tensors of shape (C, 1, 1), as mmamp's and
                MMEngine's have. Of another kind nothing is known, which is
                logged.
        """
        mean, std = (
            getattr(data_preprocessor, x, None) for x in ('mean', 'std')
        )
        if mean is None or std is None:
            print_log(
                f'PerceptualLoss: {type(data_preprocessor).__name__} has no '
                'mean and std; images are taken to be in [-1, 1]',
                logger='current',
                level=logging.WARNING,
            )
            return
        self._in_range(mean, std)

    def _in_range(self, mean: Any, std: Any) -> None:
        """Have ``(x - self.mean) / self.std`` be what VGG wants."""
        like = self.mean
        wanted_mean, wanted_std = (
            like.new_tensor(x).view(1, 3, 1, 1) for x in (_MEAN, _STD)
        )
        mean, std = (torch.as_tensor(x).to(like) for x in (mean, std))
        self.mean = (wanted_mean - mean) / std
        self.std = wanted_std / std

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Any:
        """Have the network follow to a device."""
        for network in self._network:
            network._apply(fn, recurse)
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def init_weights(self) -> None:
        """Read the file; MMEngine's Runner calls it before it trains."""
        if not self._network:
            network = _load(self.weights, max(self.layer_weights) + 1)
            self._network = [network.to(self.mean.device)]

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compute the distance of a batch of images from another.

        Args:
            pred (Tensor): Images of shape (N, C, H, W), normalised (see
                above), with C of 1 or 3 (RGB) and sides of 16 pixels or more.
            target (Tensor): Images of the same shape; they get no gradient.

        Returns:
            Tensor: Scalar, float32.
        """
        self.init_weights()
        found = self._features(pred)
        with torch.no_grad():
            wanted = self._features(target)
        distance = _CRITERIA[self.criterion]
        losses = [
            weight * distance(found[layer].float(), wanted[layer].float())
            for layer, weight in self.layer_weights.items()
        ]
        return torch.stack(losses).sum() * self.loss_weight

    def _features(self, images: Tensor) -> dict[int, Tensor]:
        """Compute the outputs of the wanted layers."""
        # A grey image becomes a colour image here, by broadcasting.
        x = (images - self.mean) / self.std
        features = {}
        for i, layer in enumerate(self._network[0]):
            x = layer(x)
            if i in self.layer_weights:
                features[i] = x
        return features

    def extra_repr(self) -> str:
        """Show the settings in the printed model."""
        return f'criterion={self.criterion!r}, loss_weight={self.loss_weight}'


def _load(weights: str, num_layers: int) -> Any:
    """Load the first layers of VGG19, frozen."""
    hint = (
        f'download {_URL} to there, or leave the perceptual loss out, as '
        f'{_WITHOUT} does'
    )
    state = read_weights(weights, 'PerceptualLoss', hint)
    network: Any = _vgg19()[:num_layers]
    needed = {f'features.{name}': name for name in network.state_dict()}
    missing = [name for name in needed if name not in state]
    if missing:
        raise ValueError(
            f'PerceptualLoss: {weights!r} is no VGG19 of torchvision, since '
            f'it lacks {missing[0]!r}: it is at {_URL}'
        )
    network.load_state_dict(
        {name: state[key] for key, name in needed.items()}, assign=True
    )
    for layer in network:
        if isinstance(layer, nn.ReLU):
            # What is before an activation may be wanted too.
            layer.inplace = False
    return network.requires_grad_(False).eval()
