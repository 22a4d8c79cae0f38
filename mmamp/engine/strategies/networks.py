"""What of a model FSDP2 shards, and how."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseAveragedModel, BaseModel
from torch import distributed, nn

from mmamp.compat.torch import FSDPModule
from mmamp.precision.dtypes import casts
from mmamp.utils.listing import listed
from mmamp.utils.modules import (
    check_networks_hold_all,
    check_networks_share_none,
    named_modules,
)
from mmamp.utils.suggest import did_you_mean


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
    check_networks_share_none(
        model, 'which FSDP2Strategy cannot shard for both'
    )
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


def shard(modules: list[nn.Module], mesh: Any, dtype: torch.dtype) -> None:
    """Have FSDP2 shard what is in a unit and not in a unit inside of it.

    Args:
        modules (list[nn.Module]): Of the unit; changed in place.
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
        modules[0] if len(modules) == 1 else modules,
        mesh=mesh,
        mp_policy=policy,
        reshard_after_forward=True,
    )


def average_shards(network: Any) -> None:
    """Have an average go on with the parameters that it has now."""
    network.avg_parameters = (
        network.module.state_dict(keep_vars=True)
        if network.update_buffers
        else dict(network.module.named_parameters())
    )


def check_methods(methods: Any) -> list[str]:
    """Refuse what is no list of names of methods."""
    if isinstance(methods, str) or not isinstance(methods, Sequence):
        raise TypeError(
            'forward_methods must be a list of names such as '
            f"'generator.encode', but got {methods!r}"
        )
    return list(methods)


def register_methods(model: nn.Module, methods: list[str]) -> None:
    """Have FSDP2 gather a module's parameters for other methods too.

    Args:
        model (nn.Module): Sharded.
        methods (list[str]): Their names, behind that of a network or unit.

    Raises:
        ValueError: If there is no such module or method.
    """
    sharded = {
        name: module
        for names, module in named_modules(model)
        for name in names
        if isinstance(module, FSDPModule)
    }
    for given in methods:
        name, _, method = given.rpartition('.')
        module = sharded.get(name)
        if module is None:
            raise ValueError(
                f'FSDP2Strategy: forward_methods={given!r} begins with no '
                'network or unit; there are '
                f'{listed([x or "the model (no name)" for x in sharded], 20)}'
            )
        if not callable(getattr(module, method, None)):
            own = [
                key
                for kind in type(module).__mro__
                if kind.__module__.partition('.')[0]
                not in ('torch', 'mmengine')
                for key, value in vars(kind).items()
                if callable(value) and not key.startswith('_')
            ]
            raise ValueError(
                f'FSDP2Strategy: forward_methods={given!r}: '
                f'{type(module).__name__.removeprefix("FSDP")} has no method '
                f'{method!r}; it has {listed([*dict.fromkeys(own)], 20)}.'
                f'{did_you_mean(method, own)}'
            )
        distributed.fsdp.register_fsdp_forward_method(module, method)


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
                f'there are {", ".join(top[:20])}.{did_you_mean(pattern, top)}'
            )
    return [
        module
        for names, module in modules
        if any(
            re.fullmatch(pattern, name) for pattern in units for name in names
        )
    ]


def in_order(
    network: nn.Module, units: list[nn.Module]
) -> list[list[nn.Module]]:
    """Return the units inside of a network as FSDP2 has to meet them.

    Args:
        network (nn.Module): Itself the last unit, which is not returned.
        units (list[nn.Module]): Of the whole model, outer ones first.

    Returns:
        list[list[nn.Module]]: The modules of each, from the inside out. Those
        of several units that hold the same parameter are one.
    """
    inside = set(network.modules())
    groups = [[unit] for unit in units if unit in inside and unit != network]
    for owners in _tied_across(network, [group[0] for group in groups]):
        if network in owners:
            # It is the last unit: what holds the others is a part of it.
            groups = [
                group
                for group in groups
                if not any(
                    owner in set(module.modules())
                    for module in group
                    for owner in owners
                )
            ]
            continue
        joined = [g for g in groups if any(m in owners for m in g)]
        groups = [g for g in groups if g not in joined]
        groups.append([*{m: None for g in [*joined, owners] for m in g}])
        print_log(
            f'FSDP2Strategy: {len(groups[-1])} modules that share a weight '
            'are one unit',
            logger='current',
        )
    order: list[list[nn.Module]] = []
    while groups:
        within = [{x for m in group for x in m.modules()} for group in groups]
        free = [
            group
            for group, modules in zip(groups, within, strict=True)
            if not any(
                other is not group and any(m in modules for m in other)
                for other in groups
            )
        ]
        if not free:
            raise ValueError(
                'FSDP2Strategy: units that share weights lie inside of each '
                'other: take some of them out of `units`'
            )
        order += free
        groups = [group for group in groups if group not in free]
    return order


def _tied_across(
    network: nn.Module, units: list[nn.Module]
) -> list[list[nn.Module]]:
    """List modules that hold the same parameter in different units."""
    unit_of = dict.fromkeys(network.modules(), network)
    for unit in units:  # inner ones come later
        unit_of.update(dict.fromkeys(unit.modules(), unit))
    owners: dict[nn.Parameter, list[nn.Module]] = {}
    for module in network.modules():
        for param in module.parameters(recurse=False):
            owners.setdefault(param, []).append(module)
    return [
        modules
        for modules in owners.values()
        if len({unit_of[module] for module in modules}) > 1
    ]
