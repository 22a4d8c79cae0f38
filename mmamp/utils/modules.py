"""Modules under the names that a config calls them by, and parameters."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.model import BaseAveragedModel, is_model_wrapper
from torch import nn
from torch.optim import Optimizer

from mmamp.compat.torch import children_of


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module inside of any number of model wrappers.

    Args:
        module (nn.Module): A module, wrapped (``MODEL_WRAPPERS``) or not.
    """
    while is_model_wrapper(module):
        module = module.get_submodule('module')
    return module


def quick_modules(root: nn.Module) -> Iterator[nn.Module]:
    """Yield a module and all that it holds, in a fraction of torch's time.

    What is held in two places comes twice: for what is cheap, and asked for in
    every iteration.

    Args:
        root (nn.Module): The module, which comes first.
    """
    left: list[nn.Module | None] = [root]
    while left:
        module = left.pop()
        if module is not None:
            yield module
            left.extend(children_of(module).values())


def params_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """List the parameters that an optimizer holds, in its order.

    Args:
        optimizer (Optimizer): Any.
    """
    return [p for group in optimizer.param_groups for p in group['params']]


def with_inner(optimizer: Optimizer) -> list[Optimizer]:
    """Return an optimizer, and those that it holds.

    Args:
        optimizer (Optimizer): Such as one that wraps another, in an attribute
            or in a list of them.
    """
    found: list[Optimizer] = [optimizer]
    for each in found:
        values: list[Any] = list(vars(each).values())
        for value in values:
            inner = value if isinstance(value, (list, tuple)) else [value]
            found += [
                x
                for x in inner
                if isinstance(x, Optimizer) and not any(x is y for y in found)
            ]
    return found


def groups_of(optimizer: Optimizer) -> list[dict[str, Any]]:
    """List the parameter groups of an optimizer, and of those that it holds.

    Args:
        optimizer (Optimizer): Any.
    """
    return [g for each in with_inner(optimizer) for g in each.param_groups]


def all_in_mode(model: nn.Module, mode: bool) -> bool:
    """Tell whether all modules are in a mode, none with its own ``train``.

    Args:
        model (nn.Module): Its own ``train`` may be any.
        mode (bool): Whether that of training.
    """
    if model.training is not mode:
        return False
    return all(
        module.training is mode
        and type(module).train is nn.Module.train
        and 'train' not in module.__dict__
        for child in model.children()
        for module in quick_modules(child)
    )


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Have a network in evaluation mode for a while, then as it was.

    Args:
        network (nn.Module): Each of its modules gets its own mode back.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        network.train(modes[0][1])
        for module, was_training in modes:
            module.training = was_training  # of what was frozen, too


def named_modules(
    model: nn.Module, names: Sequence[str] = ('',)
) -> Iterator[tuple[list[str], nn.Module]]:
    """Yield modules with their names, without those of model wrappers.

    Args:
        model (nn.Module): The model, inside of model wrappers or not.
        names (Sequence[str]): Its own names. Defaults to none.

    Yields:
        tuple[list[str], nn.Module]: The first name is the module's; what an
        averaged model ``x_ema`` holds is also called ``x``.
    """
    model = unwrap(model)
    yield list(names), model
    for child_name, child in model.named_children():
        children = [f'{name}.' * bool(name) + child_name for name in names]
        if isinstance(model, BaseAveragedModel) and child_name == 'module':
            children += [
                name.removesuffix('_ema')
                for name in names
                if name.endswith('_ema')
            ]
        yield from named_modules(child, children)


def check_networks_hold_all(model: nn.Module, does: str) -> None:
    """Refuse a model of several networks with parameters outside of them.

    Args:
        model (nn.Module): The model.
        does (str): What is not done with such parameters, and by what.

    Raises:
        ValueError: If it has trainable ones.
    """
    own = [
        name
        for name, param in model.named_parameters(recurse=False)
        if param.requires_grad
    ]
    if own:
        raise ValueError(
            f'{type(model).__name__} has parameters of its own '
            f'({", ".join(own)}), which {does}: move them into one of its '
            f'networks ({", ".join(children_of(model))})'
        )


def check_networks_share_none(model: nn.Module, does: str) -> None:
    """Refuse a parameter that two networks of a model train.

    Args:
        model (nn.Module): The model.
        does (str): What cannot be done with such a parameter, and by what.

    Raises:
        ValueError: If there is one.
    """
    owners: dict[nn.Parameter, str] = {}
    for name, child in model.named_children():
        for key, param in child.named_parameters():
            owner = owners.setdefault(param, name)
            if owner != name and param.requires_grad:
                raise ValueError(
                    f'{owner} and {name} share a parameter ({name}.{key}), '
                    f'{does}: make the module that holds it a child of '
                    f'{type(model).__name__} beside them, with its own place '
                    'in the losses'
                )
