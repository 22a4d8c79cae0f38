"""Gradients that no model wrapper averages over the ranks."""

from collections.abc import Iterable, Sequence

import torch
from mmengine.dist import all_reduce_params, get_world_size
from torch import nn

from .sharding import is_sharded


class LateGradients:
    """Averages the gradients of what was frozen when training began.

    DDP averages those of parameters that were trainable when it was built, and
    neither ``SeparateDistributedDataParallel`` nor FSDP2 wraps a network that
    has none: what is thawed later each rank would train alone.

    Args:
        params (Iterable[Parameter]): An optimizer's, as training begins.
    """

    def __init__(self, params: Iterable[nn.Parameter]) -> None:
        self._early = {id(param) for param in params if param.requires_grad}

    def average(self, params: Sequence[nn.Parameter]) -> int:
        """Average them, where there are some and several ranks.

        Args:
            params (Sequence[Parameter]): The optimizer's now. Where a rank has
                no gradient it is zero, as it is to DDP; where no rank has one
                there is none.

        Returns:
            int: How many parameters have such gradients.
        """
        if get_world_size() == 1:
            return 0
        late = [
            param
            for param in params
            if param.requires_grad
            and id(param) not in self._early
            and not is_sharded(param)
        ]
        if not late:
            return 0
        has = torch.tensor(
            [param.grad is not None for param in late],
            dtype=torch.float32,
            device=late[0].device,
        )
        grads = []
        for param in late:
            if param.grad is None:
                param.grad = torch.zeros_like(param)
            elif param.grad.is_sparse:
                param.grad = param.grad.to_dense()
            grads.append(param.grad)
        all_reduce_params([has, *grads], op='mean')
        for param, share in zip(late, has.tolist(), strict=True):
            if not share:
                param.grad = None
        return len(late)
