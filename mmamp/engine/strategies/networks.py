"""What of a model FSDP2 shards, and how."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseAveragedModel, BaseModel
from torch import distributed, nn

from mmamp.precision.dtypes import casts
from mmamp.utils.modules import check_networks_hold_all, named_modules


def check_units(units: Any) -> list[str]:
    """Refuse what is no list of regular expressions."""
    if isinstance(units, str) or not isinstance(units, Sequence):
        raise TypeError(
            f'units must be a list of regular expressions, but got {units!r}'
        )
    for pattern in units:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise TypeError(
                f'units: {pattern!r} is no regular expression: {error}'
            ) from error
    return list(units)


def networks(model: nn.Module) -> dict[str, nn.Module]:
    """Return what is sharded by itself, by name; the model's is empty."""
    if type(model).train_step is BaseModel.train_step:  # type: ignore[attr-defined]
        return {'': model}
    check_networks_hold_all(model, 'FSDP2Strategy does not shard')
    return {
        name: child
        for name, child in model.named_children()
        if any(p.requires_grad for p in child.parameters())
        or isinstance(child, BaseAveragedModel)
    }


def make_contiguous(model: nn.Module) -> None:
    """Store weights as FSDP2 can shard them, and say so."""
    others = [p for p in model.parameters() if not p.is_contiguous()]
    for param in others:
        param.data = param.data.contiguous()
    if others:
        print_log(
            f'FSDP2Strategy: {len(others)} parameters in channels-last memory '
            'format are stored contiguously; images stay as they are',
            logger='current',
        )


def shard(module: nn.Module, mesh: Any, dtype: torch.dtype) -> None:
    """Have FSDP2 shard what is in a module and not in a unit inside of it.

    Args:
        module (nn.Module): Changed in place.
        mesh (DeviceMesh): The ranks.
        dtype (torch.dtype): What its parameters are gathered in.
    """
    policy = distributed.fsdp.MixedPrecisionPolicy(
        param_dtype=dtype if casts(dtype) else None,
        reduce_dtype=torch.float32 if casts(dtype) else None,
        # Autocast decides on what comes in.
        cast_forward_inputs=False,
    )
    distributed.fsdp.fully_shard(
        module, mesh=mesh, mp_policy=policy, reshard_after_forward=True
    )


def average_shards(network: Any) -> None:
    """Have an average go on with the parameters that it has now."""
    network.avg_parameters = (
        network.module.state_dict(keep_vars=True)
        if network.update_buffers
        else dict(network.module.named_parameters())
    )


def find_units(model: nn.Module, units: list[str]) -> list[nn.Module]:
    """Return the modules that patterns match, outer ones first."""
    modules = list(named_modules(model))
    for pattern in units:
        if not any(
            re.fullmatch(pattern, name)
            for names, _ in modules
            for name in names
        ):
            top = [n for names, _ in modules for n in names if n]
            raise ValueError(
                f'FSDP2Strategy: units={pattern!r} matches no module; '
                f'there are {", ".join(top[:20])}'
            )
    return [
        module
        for names, module in modules
        if any(
            re.fullmatch(pattern, name) for pattern in units for name in names
        )
    ]
