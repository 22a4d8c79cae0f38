"""Features of handwritten digits, for FID where Inception is too much."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmamp.checkpoint.safe_load import read_weights
from mmamp.registry import MODELS

_HINT = 'configs/digit_features/ has one, and a README on how it is made'


@MODELS.register_module()
class DigitFeatures(BaseModel):
    """A small classifier of grey 32x32 digits, whose features FID can use.

    Three strided convolutions with BatchNorm, the mean over all positions
    (the features), and a linear layer (the logits). It trains like any model
    with one optimizer; digits are shifted, turned and scaled a little there.

    Args:
        num_features (int): Length of the feature vector. Defaults to 64.
        checkpoint (str, optional): A state_dict to load, such as
            ``configs/digit_features/digit_features_cnn-32x32.pth``. Defaults
            to None: untrained.
        **kwargs: Arguments of MMEngine's ``BaseModel``; ``data_preprocessor``
            is by default
            :class:`~mmamp.models.base.data_preprocessor.GANDataPreprocessor`.

    Raises:
        FileNotFoundError: If there is no such checkpoint.

    Examples:
        >>> feature_network = dict(
        ...     type='mmamp.DigitFeatures',
        ...     checkpoint='configs/digit_features/'
        ...     'digit_features_cnn-32x32.pth')
    """

    def __init__(
        self,
        num_features: int = 64,
        checkpoint: str | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault(
            'data_preprocessor', dict(type='mmamp.GANDataPreprocessor')
        )
        super().__init__(**kwargs)
        widths = [1, num_features // 4, num_features // 2, num_features]
        self.layers = nn.Sequential(
            *(
                ConvModule(
                    widths[i],
                    widths[i + 1],
                    kernel_size=3,
                    stride=2,
                    padding=1,
                    bias=False,
                    norm_cfg=dict(type='BN'),
                )
                for i in range(3)
            )
        )
        self.head = nn.Linear(num_features, 10)
        if checkpoint is not None:
            self.load_state_dict(
                read_weights(checkpoint, 'DigitFeatures', _HINT)
            )

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Compute features, losses or predicted digits.

        Args:
            inputs (Tensor): Images of shape (N, 1, H, W): uint8, or what the
                data preprocessor makes of such.
            data_samples (dict, optional): With ``gt_label`` of shape (N, ) in
                mode ``'loss'``. Defaults to None.
            mode (str): ``'tensor'``, ``'loss'`` or ``'predict'``. Defaults to
                ``'tensor'``.

        Returns:
            tuple[Tensor, Tensor]: In mode ``'tensor'`` features of shape
            (N, num_features) and logits of shape (N, 10).
            dict[str, Tensor]: In mode ``'loss'`` the cross entropy.
            list[dict]: In mode ``'predict'`` one dict an image with
            ``pred_label`` (int).

        Raises:
            ValueError: If the images are not grey, or ``mode`` is another.
        """
        if inputs.dim() != 4 or inputs.shape[1] != 1:
            raise ValueError(
                'DigitFeatures takes grey images of shape (N, 1, H, W), '
                f'but got {tuple(inputs.shape)}'
            )
        if inputs.dtype is torch.uint8:
            inputs = self.data_preprocessor(dict(inputs=inputs))['inputs']
        if mode == 'tensor':
            return self._features_and_logits(inputs)
        if mode == 'loss':
            _, logits = self._features_and_logits(_moved(inputs))
            labels = data_samples['gt_label']
            return dict(loss=F.cross_entropy(logits.float(), labels))
        if mode == 'predict':
            _, logits = self._features_and_logits(inputs)
            return [dict(pred_label=i) for i in logits.argmax(1).tolist()]
        raise ValueError(
            f"mode={mode!r}: give one of 'tensor', 'loss', 'predict'"
        )

    def _features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.layers(images).mean((2, 3))
        return features, self.head(features)


def _moved(
    images: Tensor, turn: float = 10.0, shift: float = 0.1, scale: float = 0.1
) -> Tensor:
    """Turn, shift and scale each image at random.

    Args:
        images (Tensor): float, of shape (N, 1, H, W), black being -1.
        turn (float): Largest angle in degrees. Defaults to 10.
        shift (float): Largest shift as a share of the image. Defaults to 0.1.
        scale (float): Largest change of size. Defaults to 0.1.
    """
    num = len(images)
    angle, zoom, right, down = torch.rand(4, num, device=images.device) * 2 - 1
    angle = angle * math.radians(turn)
    zoom = 1 + zoom * scale
    # Positions count from -1 to 1 across the image.
    rows = [
        [angle.cos() * zoom, -angle.sin() * zoom, right * 2 * shift],
        [angle.sin() * zoom, angle.cos() * zoom, down * 2 * shift],
    ]
    matrices = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    # Outside of the image there is 0, which shall be black.
    moved = F.grid_sample(images + 1, grid, align_corners=False)
    return moved - 1
