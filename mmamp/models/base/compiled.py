"""Networks that ``torch.compile`` makes faster, and when they are not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

from mmamp.compat.torch import uncompiled
from mmamp.utils.modules import unwrap


def check_compile(
    compile_cfg: Mapping[str, Any] | None, networks: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Refuse a ``compile`` that names no side of a GAN.

    Args:
        compile_cfg (dict, optional): Arguments of ``torch.compile`` by side.
        networks (dict): The sides that there are.

    Returns:
        dict[str, dict]: The same; empty if it is None.

    Raises:
        TypeError: If it is no dict of dicts.
        ValueError: If there is no such side, or torch.compile has no such
            argument.
    """
    if not isinstance(compile_cfg or {}, Mapping):
        raise TypeError(
            'compile must be a dict such as dict(generator=dict()), but got '
            f'{compile_cfg!r}'
        )
    valid = [x for x in signature(torch.compile).parameters if x != 'model']
    found = dict(compile_cfg or {})
    for name, arguments in found.items():
        if name not in networks:
            raise ValueError(
                f'compile: there is no {name!r} among {", ".join(networks)}'
            )
        if not isinstance(arguments, dict):
            raise TypeError(
                f'compile: {name} must be a dict of arguments of '
                f"torch.compile, such as dict(mode='default'), but got "
                f'{arguments!r}'
            )
        if unknown := [x for x in arguments if x not in valid]:
            raise ValueError(
                f'compile: {name} has {", ".join(unknown)}, but torch.compile '
                f'takes {", ".join(valid)}'
            )
    return found


def compile_network(
    name: str, network: nn.Module, arguments: dict[str, Any]
) -> None:
    """Have torch compile a network when it is called next, in place.

    Its parameters keep their names, so that checkpoints are the same.

    Args:
        name (str): Of the network, for the log.
        network (nn.Module): In model wrappers or not.
        arguments (dict): Of ``torch.compile``.
    """
    module = unwrap(network)
    module.compile(**arguments)
    print_log(
        f'{name} is compiled ({arguments or "default arguments"}): the first '
        'iterations, and the first of each new shape, take long. Gradient '
        'penalties run it as it is, since torch.compile has no double '
        'backward',
        logger='current',
    )


@contextmanager
def eager(network: nn.Module) -> Iterator[None]:
    """Run a network as it is, compiled or not.

    Args:
        network (nn.Module): In model wrappers or not.
    """
    with uncompiled(unwrap(network)):
        yield
