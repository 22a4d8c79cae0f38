"""How good generated images are."""

from .accuracy import Accuracy
from .digit_classifier import DigitClassifier
from .digit_features import DigitFeatures

__all__ = ['Accuracy', 'DigitClassifier', 'DigitFeatures']
