"""How good generated images are."""

from .accuracy import Accuracy
from .digit_classifier import DigitClassifier
from .digit_features import DigitFeatures
from .digit_share import DigitShare
from .feature_metric import FeatureMetric
from .inception import InceptionV3
from .ms_ssim import MSSSIM
from .psnr import PSNR
from .ssim import SSIM
from .swd import SWD

__all__ = [
    'MSSSIM',
    'PSNR',
    'SSIM',
    'SWD',
    'Accuracy',
    'DigitClassifier',
    'DigitFeatures',
    'DigitShare',
    'FeatureMetric',
    'InceptionV3',
]
