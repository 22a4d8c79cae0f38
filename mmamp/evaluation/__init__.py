"""How good generated images are."""

from .digit_classifier import DigitClassifier

__all__ = ['DigitClassifier']
