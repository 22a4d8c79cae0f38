"""Parts of a model, given as configs or as modules."""

from torch import nn

from mmamp.registry import MODELS


def built(module: dict | nn.Module) -> nn.Module:
    """Build a module, unless it is built already."""
    return module if isinstance(module, nn.Module) else MODELS.build(module)
