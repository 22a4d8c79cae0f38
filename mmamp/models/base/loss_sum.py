"""Losses of a micro-batch to one, and logs of several to one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def sum_of(losses: Mapping[str, Any]) -> tuple[Tensor, Any] | None:
    """Sum losses, each of which is a number that has a gradient.

    Args:
        losses (dict): By name.

    Returns:
        tuple[Tensor, dict] or None: The sum of those whose name holds 'loss',
        and what to log. None where there is more to do.
    """
    if not all(
        isinstance(x, Tensor) and not x.ndim and x.is_floating_point()
        for x in losses.values()
    ):
        return None
    summed = [value for key, value in losses.items() if 'loss' in key]
    if not summed or any(x.grad_fn is None for x in summed):
        return None
    loss: Tensor = sum(summed[1:], start=summed[0])
    # What has none may be something that the model goes on changing.
    logs = {k: x if x.grad_fn else x.clone() for k, x in losses.items()}
    return loss, {'loss': loss, **logs}


class JointLogs:
    """What the two sides log, under names that tell them apart."""

    def __init__(self) -> None:
        # A side need not have its turn in each iteration.
        self._names: dict[str, set[str]] = defaultdict(set)

    def joined(
        self, logs: Mapping[str, Sequence[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Average what each side logs; a name of both gets the side's.

        Args:
            logs (dict[str, list[dict[str, Tensor]]]): One a micro-batch, by
                the side.
        """
        means = {role: mean_of(of_role) for role, of_role in logs.items()}
        for role, values in means.items():
            self._names[role].update(values)
        common = set.intersection(*self._names.values())
        return {
            f'{role}.{key}' if key in common else key: value
            for role, values in means.items()
            for key, value in values.items()
        }


def mean_of(logs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Average each logged value over the micro-batches that have it.

    Args:
        logs (list[dict[str, Tensor]]): One a micro-batch.
    """
    if len(logs) == 1:
        return logs[0]
    values = defaultdict(list)
    for log_vars in logs:
        for key, value in log_vars.items():
            values[key].append(torch.as_tensor(value).detach())
    return {key: torch.stack(v).mean() for key, v in values.items()}
