"""A wrapper whose name MMEngine and mmamp have too."""

from mmengine.optim import OptimWrapper

from minidet.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(OptimWrapper):
    """Mixed precision of the project's own making."""
