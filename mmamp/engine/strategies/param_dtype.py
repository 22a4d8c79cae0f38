"""What a sharded network's parameters are gathered in."""

from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..optimizers.autocast import resolve_dtype

VALID = ('auto', 'float32')


def check_param_dtype(param_dtype: Any) -> str:
    """Refuse what is no ``param_dtype``."""
    if param_dtype not in VALID:
        raise ValueError(
            f'param_dtype must be one of {", ".join(map(repr, VALID))}, but '
            f'got {param_dtype!r}'
        )
    return param_dtype


def param_dtype_of(
    param_dtype: str,
    name: str,
    network: nn.Module,
    model: nn.Module,
    optim_wrapper: Any,
) -> torch.dtype:
    """The dtype that a network's parameters are gathered in.

    Args:
        param_dtype (str): ``'auto'`` or ``'float32'``.
        name (str): Of the network in the model.
        network (nn.Module): On its device.
        model (nn.Module): The model it belongs to.
        optim_wrapper (Any): The config of the optimizers.
    """
    param = next(network.parameters(), None)
    if param_dtype == 'float32' or param is None:
        return torch.float32
    dtype = _cast_dtype(optim_wrapper, name, param.device.type)
    if dtype is torch.float32:
        return dtype
    reason = None
    if any(isinstance(module, _BatchNorm) for module in network.modules()):
        reason = 'it has BatchNorm'
    elif name in getattr(model, 'higher_order_networks', ()):
        reason = 'there are penalties on its gradients'
    if reason is None:
        return dtype
    print_log(
        f'FSDP2Strategy: {name or "the model"} is gathered in float32 and '
        f'not in {str(dtype).removeprefix("torch.")}, since {reason}',
        logger='current',
    )
    return torch.float32


def _cast_dtype(
    optim_wrapper: Any, name: str, device_type: str
) -> torch.dtype:
    """What the network's optimizer wrapper casts to."""
    # An average is used as the network it is an average of.
    entry = optim_wrapper
    if isinstance(entry, dict) and 'optimizer' not in entry:
        entry = entry.get(name.removesuffix('_ema'))
    if not isinstance(entry, dict):
        return torch.float32
    kind = entry.get('type', 'OptimWrapper')
    kind = kind if isinstance(kind, str) else kind.__name__
    if kind.rpartition('.')[2] != 'AmpOptimWrapper':
        return torch.float32
    return resolve_dtype(entry.get('dtype'), device_type)
