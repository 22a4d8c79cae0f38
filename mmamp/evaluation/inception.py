"""The Inception network that FID was defined with."""

from torch import Tensor, nn

from mmamp.checkpoint.safe_load import read_weights
from mmamp.registry import MODELS

from .images import library

URL = (
    'https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/'
    'weights-inception-2015-12-05-6726825d.pth'
)


@MODELS.register_module()
class InceptionV3(nn.Module):
    """Features and logits of FID's Inception, by torch-fidelity.

    Szegedy et al., "Rethinking the Inception Architecture for Computer
    Vision", CVPR 2016, in the form of 2015-12-05 that Heusel et al. (2017)
    and Salimans et al. (2016) used: 2048 features, and 1008 logits without
    bias. It resizes images to 299x299 itself, as TensorFlow 1 did. Nothing is
    downloaded.

    Args:
        weights (str): Path of torch-fidelity's file of weights.

    Raises:
        FileNotFoundError: If there is no such file; it says where to get it.
        ImportError: If torch-fidelity does not work here.

    Examples:
        >>> feature_network = dict(
        ...     type='mmamp.InceptionV3',
        ...     weights='weights-inception-2015-12-05-6726825d.pth')
    """

    def __init__(self, weights: str) -> None:
        super().__init__()
        # torch-fidelity unpickles whatever a file holds; here a file that
        # holds more than tensors ends with an error first.
        read_weights(weights, 'InceptionV3', f'get it from {URL}')
        fidelity = library('torch_fidelity', self, extra='inception')
        self.network = fidelity.FeatureExtractorInceptionV3(
            'inception-v3-compat',
            ['2048', 'logits_unbiased'],
            feature_extractor_weights_path=str(weights),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits.

        Args:
            images (Tensor): uint8, of shape (N, 1, H, W) or (N, 3, H, W).

        Returns:
            tuple[Tensor, Tensor]: float32, of shapes (N, 2048) and (N, 1008).
        """
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        found: tuple[Tensor, Tensor] = self.network(images)
        return found
