"""Whether an optimizer can step on sharded parameters."""

import inspect
import logging
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn
from torch.optim import Optimizer

from mmamp.errors import UsageError
from mmamp.randomness.state import rng_state, set_rng_state
from mmamp.utils.modules import params_of

CLOSE = 0.05
"""Largest relative difference of a step that rounding may make."""


def try_on_shards(optimizer: Optimizer, mesh: Any) -> None:
    """Refuse an optimizer that fails on shards, before anything is trained.

    One of its class and settings steps on a parameter of a few numbers, which
    all ranks share, as it does on the whole one. One that cannot be made so
    (of more arguments than its settings) is left alone.

    Args:
        optimizer (Optimizer): Of sharded parameters.
        mesh (DeviceMesh): The ranks.

    Raises:
        UsageError: If it raises.
    """
    # It may draw random numbers, which are not those of training.
    state = rng_state()
    try:
        _try(optimizer, mesh)
    finally:
        set_rng_state(state)


def _try(optimizer: Optimizer, mesh: Any) -> None:
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    kind = type(optimizer)
    dims = max(param.dim() for param in params_of(optimizer))
    shape = (2 * mesh.size(), *[3] * (dims - 1))
    generator = torch.Generator().manual_seed(0)
    weight, grad = (
        torch.randn(shape, generator=generator).to(mesh.device_type)
        for _ in range(2)
    )

    def stepped(
        param: nn.Parameter, grad: torch.Tensor
    ) -> torch.Tensor | None:
        try:
            arguments = inspect.signature(kind).parameters
            given = {
                key: value
                for key, value in optimizer.defaults.items()
                if key in arguments
            }
            one: Any = kind([param], **given)
        except Exception:
            return None
        param.grad = grad
        one.step()
        return param.detach()

    try:
        whole = stepped(nn.Parameter(weight.clone()), grad.clone())
    except Exception:
        return  # of a closure, or of names that these have not
    if whole is None:
        return
    shard = [*[Replicate()] * (mesh.ndim - 1), Shard(0)]
    try:
        parts = stepped(
            nn.Parameter(distribute_tensor(weight.clone(), mesh, shard)),
            distribute_tensor(grad.clone(), mesh, shard),
        )
    except Exception as error:
        why, _, _ = ' '.join(str(error).split()).partition('. ')
        raise UsageError(
            f'FSDP2Strategy: {kind.__name__} cannot step on sharded '
            f'parameters ({type(error).__name__}: {why}). Optimizers '
            'that work element by element can, such as AdamW, SGD, RMSprop '
            'and Lion; under DDP (without `strategy`) any can'
        ) from error
    if parts is None:
        return
    moved = (whole - weight).abs().max()
    differs = (parts.full_tensor() - whole).abs().max()  # type: ignore[attr-defined]
    if differs > CLOSE * moved:
        print_log(
            f'FSDP2Strategy: a step of {kind.__name__} on shards is another '
            f'than on whole parameters: it differs by {float(differs):.2g} '
            f'where it moves by {float(moved):.2g}',
            logger='current',
            level=logging.WARNING,
        )
