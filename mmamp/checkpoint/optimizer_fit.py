"""Whether a saved optimizer state is of the optimizer that takes it."""

import inspect
from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from mmamp.utils.modules import params_of

from .settings import settings_of

_KERNELS = ('fused', 'foreach', 'capturable')


def missing_of(optimizer: Optimizer, state: dict[str, Any]) -> list[str]:
    """Name what an optimizer needs and a saved state does not have.

    Found out by another one of its kind, which loads the state's settings and
    takes one step, for each shape of a parameter. Of one that cannot be built
    so, or that needs more for a step, nothing is known.

    Args:
        optimizer (Optimizer): That is going to load it.
        state (dict): An optimizer's, of as many parameters.

    Returns:
        list[str]: Settings, such as ``'momentum'``, else averages, such as
        ``'exp_inf'``. None of them if it fits.
    """
    found: dict[str, None] = {}
    # Torch adds switches to the defaults which not all of its optimizers have.
    names = inspect.signature(type(optimizer)).parameters
    own = {k: v for k, v in optimizer.defaults.items() if k in names}
    # No checkpoint holds a function: that of the config is taken.
    kept = [name for name, value in own.items() if not callable(value)]
    params = params_of(optimizer)
    for group in state['param_groups']:
        # What is kept of a matrix may be other than what is of a vector.
        needed: dict[tuple[int, ...], Any] = {}
        for index in group['params']:
            with suppress(Exception):
                shape = _small(params[index].shape)
                if shape not in needed:
                    twin = _twin(type(optimizer), own, group, shape)
                    (settings,) = twin.param_groups
                    if missing := [x for x in kept if x not in settings]:
                        return missing
                    twin.step()
                    (needed[shape],) = twin.state_dict()['state'].values()
                saved = state['state'].get(index, needed[shape])
                lacks = (x for x in needed[shape] if x not in saved)
                found |= dict.fromkeys(lacks)
    return list(found)


def _small(shape: torch.Size) -> tuple[int, ...]:
    """Return a shape of which the same is kept, as far as anybody looks.

    Adafactor and its like factor matrices whose sides are 128 and more.
    """
    return tuple(min(n, 256 if i < 2 else 3) for i, n in enumerate(shape))


def _twin(
    kind: Any,
    own: dict[str, Any],
    group: dict[str, Any],
    shape: tuple[int, ...],
) -> Any:
    """Build an optimizer of one tensor, with the settings of a saved group."""
    param = nn.Parameter(torch.zeros(shape))
    param.grad = torch.zeros(shape)
    twin = kind([param], **own)
    switches = {name: False for name in _KERNELS if name in group}
    saved = {**group, **switches, 'params': [0]}
    twin.load_state_dict(dict(state={}, param_groups=[saved]))
    return twin


def saved_type(meta: dict[str, Any], name: str) -> str | None:
    """Return the type of the optimizer that a run has saved.

    Args:
        meta (dict): Of the checkpoint, where MMEngine has put the config.
        name (str): Of the optimizer; empty for a single one.

    Returns:
        str or None: Such as ``'Adam'``; None if the config does not say.
    """
    keys = [name, 'optimizer', 'type'] if name else ['optimizer', 'type']
    node: Any = settings_of(meta.get('cfg', '')).get('optim_wrapper')
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node.rpartition('.')[2] if isinstance(node, str) else None
