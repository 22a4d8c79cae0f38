"""Whether a saved optimizer state is of the optimizer that takes it."""

import ast
import inspect
from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


def missing_of(optimizer: Optimizer, state: dict[str, Any]) -> list[str]:
    """Name what an optimizer needs and a saved state does not have.

    Args:
        optimizer (Optimizer): That is going to load it.
        state (dict): An optimizer's, of as many parameters.

    Returns:
        list[str]: Settings, such as ``'momentum'``, else averages, such as
        ``'exp_inf'``. None of them if it fits.
    """
    found: dict[str, None] = {}
    for group in state['param_groups']:
        # Later releases add switches, which have a value for older states.
        found |= {
            name: None
            for name, default in optimizer.defaults.items()
            if name not in group and not isinstance(default, bool | None)
        }
    if found:
        return list(found)
    for group in state['param_groups']:
        needed = _averages(optimizer, group)
        for index in group['params']:
            if index in state['state']:
                saved = state['state'][index]
                found |= dict.fromkeys(n for n in needed if n not in saved)
    return list(found)


def _averages(optimizer: Optimizer, group: dict[str, Any]) -> list[str]:
    """Names of what an optimizer keeps of each parameter.

    Found out by one step of another one of its kind. One that cannot be
    built so, or needs more for a step, keeps what nobody knows.
    """
    kind: Any = type(optimizer)
    given = {**optimizer.defaults, **group}
    names = [n for n in inspect.signature(kind).parameters if n != 'params']
    param = nn.Parameter(torch.zeros(1))
    param.grad = torch.zeros(1)
    with suppress(Exception):
        twin = kind([param], **{n: given[n] for n in names if n in given})
        twin.step()
        return list(twin.state[param])
    return []


def saved_type(meta: dict[str, Any], name: str) -> str | None:
    """Return the type of the optimizer that a run has saved.

    Args:
        meta (dict): Of the checkpoint, where MMEngine has put the config.
        name (str): Of the optimizer; empty for a single one.

    Returns:
        str or None: Such as ``'Adam'``; None if the config does not say.
    """
    keys = [name, 'optimizer', 'type'] if name else ['optimizer', 'type']
    try:
        # Read, not run: it comes with a file.
        statements = ast.parse(str(meta.get('cfg', ''))).body
    except SyntaxError:
        return None
    for statement in statements:
        if isinstance(statement, ast.Assign) and (
            ast.unparse(statement.targets[0]) == 'optim_wrapper'
        ):
            node: ast.expr | None = statement.value
            for key in keys:
                node = _argument(node, key)
            value = getattr(node, 'value', None)
            if isinstance(value, str):
                return value.rpartition('.')[2]
    return None


def _argument(call: ast.expr | None, name: str) -> ast.expr | None:
    for keyword in call.keywords if isinstance(call, ast.Call) else []:
        if keyword.arg == name:
            return keyword.value
    return None
