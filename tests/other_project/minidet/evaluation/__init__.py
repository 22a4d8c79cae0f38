from .metrics import Brightness, TopOne

__all__ = ['Brightness', 'TopOne']
