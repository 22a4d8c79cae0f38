"""What a sharded network's parameters are gathered in."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

from mmamp.compat.torch import BatchNorm, tree_map
from mmamp.engine.optimizers.param_matching import ParamMatcher
from mmamp.precision.dtypes import resolve_dtype
from mmamp.precision.islands import is_floating
from mmamp.precision.names import name_of
from mmamp.precision.spectral_norm import is_spectral_norm
from mmamp.utils.checks import check_choice
from mmamp.utils.protocols import HigherOrder

VALID = ('auto', 'float32')


def check_param_dtype(param_dtype: Any) -> str:
    """Refuse what is no ``param_dtype``."""
    return check_choice('param_dtype', param_dtype, VALID)


def param_dtype_of(
    param_dtype: str,
    name: str,
    network: nn.Module,
    model: nn.Module,
    optim_wrapper: Any,
) -> torch.dtype:
    """Return the dtype that a network's parameters are gathered in.

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
    dtypes = _cast_dtypes(optim_wrapper, name, model, param.device.type)
    if dtypes <= {torch.float32}:
        return torch.float32
    reason = None
    if len(dtypes) > 1:
        reason = 'its optimizers have different dtypes'
    elif any(isinstance(module, BatchNorm) for module in network.modules()):
        reason = 'it has BatchNorm'
    elif any(is_spectral_norm(module) for module in network.modules()):
        reason = 'it has spectral norm'
    elif isinstance(model, HigherOrder) and (
        name in model.higher_order_networks
    ):
        reason = 'there are penalties on its gradients or weights'
    if reason is None:
        return dtypes.pop()
    low = sorted(name_of(x) for x in dtypes)
    print_log(
        f'FSDP2Strategy: {name or "the model"} is gathered in float32 and '
        f'not in {" or ".join(x for x in low if x != "float32")}, since '
        f'{reason}',
        logger='current',
    )
    return torch.float32


class LowPrecisionForward:
    """Runs a network whose parameters are gathered in low precision.

    In training autocast is on already. A forward pass outside of it, such as
    one that validates, would meet inputs in float32; it runs in autocast too,
    and its outputs are float32.

    Args:
        dtype (torch.dtype): Of the parameters.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._open: list[Any] = []

    def install(self, network: nn.Module) -> None:
        """Make it so, by forward hooks."""
        self._device_type = next(network.parameters()).device.type
        network.register_forward_pre_hook(self._enter)
        network.register_forward_hook(self._leave, always_call=True)

    def _enter(self, network: nn.Module, args: tuple[Any, ...]) -> None:
        context = None
        if not torch.is_autocast_enabled(self._device_type):
            context = torch.autocast(self._device_type, dtype=self._dtype)
            context.__enter__()
        self._open.append(context)

    def _leave(
        self, network: nn.Module, args: tuple[Any, ...], output: Any
    ) -> Any:
        context = self._open.pop() if self._open else None
        if context is None:
            return output
        context.__exit__(None, None, None)
        return tree_map(
            lambda value: value.float() if is_floating(value) else value,
            output,
        )


def _cast_dtypes(
    optim_wrapper: Any, name: str, model: nn.Module, device_type: str
) -> set[torch.dtype]:
    """Return what the optimizers that train a network cast to."""
    # An average is used as the network it is an average of.
    name = name.removesuffix('_ema')
    return {
        _dtype_of_entry(entry, device_type)
        for names, entry in _owned(optim_wrapper, model)
        if any(_has_both(name, owned) for owned in names)
    }


def _owned(
    optim_wrapper: Any, model: nn.Module
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Names of the modules that each optimizer trains, and its config."""
    if not isinstance(optim_wrapper, dict):
        return
    is_single = 'optimizer' in optim_wrapper
    entries = {'': optim_wrapper} if is_single else optim_wrapper
    matcher = ParamMatcher(model)
    for key, entry in entries.items():
        if not isinstance(entry, dict) or 'optimizer' not in entry:
            continue
        patterns = entry.get('modules', key)
        label = f'optim_wrapper[{key!r}]' if key else 'optim_wrapper'
        claim = (
            matcher.claim_modules(patterns, label)
            if patterns
            else matcher.claim_model(label)
        )
        yield list(claim.modules), entry


def _has_both(name: str, other: str) -> bool:
    """Tell whether one of two modules holds the other, or is it."""
    short, long = sorted((name, other), key=len)
    return not short or long == short or long.startswith(f'{short}.')


def _dtype_of_entry(entry: dict[str, Any], device_type: str) -> torch.dtype:
    kind = entry.get('type', 'OptimWrapper')
    kind = kind if isinstance(kind, str) else kind.__name__
    if kind.rpartition('.')[2] != 'AmpOptimWrapper':
        return torch.float32
    return resolve_dtype(entry.get('dtype'), device_type)
