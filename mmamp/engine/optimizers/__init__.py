"""Optimizer wrappers, loss scaling, and the constructor of several."""

from .amp_optim_wrapper import AmpOptimWrapper
from .loss_scaler import LossScaler
from .optim_wrapper_constructor import OptimWrapperConstructor

__all__ = ['AmpOptimWrapper', 'LossScaler', 'OptimWrapperConstructor']
