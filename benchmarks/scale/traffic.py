"""Counts what a rank sends and gets."""

from collections import Counter
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

KINDS = {
    '_allgather_base_': 'all-gather',
    'allgather_': 'all-gather',
    '_reduce_scatter_base_': 'reduce-scatter',
    'allreduce_': 'all-reduce',
    'broadcast_': 'broadcast',
}
"""What operators of torch's do."""


class Traffic(TorchDispatchMode):
    """Counts collectives, and the bytes that a rank sends in each.

    As a ring does: all-gather and reduce-scatter of B bytes take
    B (n - 1) / n, all-reduce twice that, broadcast B.

    Attributes:
        calls (Counter): By kind.
        sent (float): Bytes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()
        self.sent = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call an operator; count it if it is a collective."""
        if func.namespace == 'c10d':
            kind = KINDS[func.overloadpacket.__name__]
            group = next(x for x in args if isinstance(x, torch.ScriptObject))
            size = distributed.ProcessGroup.unbox(group).size()
            self.add(kind, max(map(_bytes, args[:2])), size)
        return func(*args, **(kwargs or {}))

    def add(self, kind: str, size: int, ranks: int | None = None) -> None:
        """Count a collective.

        Args:
            kind (str): Of the values of :data:`KINDS`.
            size (int): Bytes of what is whole.
            ranks (int, optional): How many take part. Defaults to None: all.
        """
        n = ranks or distributed.get_world_size()
        passes = {'all-reduce': 2.0, 'broadcast': n / max(n - 1, 1)}
        self.calls[kind] += 1
        self.sent += size * passes.get(kind, 1.0) * (n - 1) / n

    def watch_ddp(self, model: nn.Module) -> None:
        """Count what DDP reduces, which no operator tells.

        Args:
            model (nn.Module): Has some in it, maybe.
        """
        for module in model.modules():
            # One for each network has none of its own.
            if isinstance(module, DistributedDataParallel) and hasattr(
                module, 'reducer'
            ):
                module.register_comm_hook(self, _reduced)


def _reduced(
    traffic: Traffic,
    bucket: distributed.GradBucket,  # type: ignore[name-defined]
) -> torch.futures.Future[torch.Tensor]:
    """Stand in for DDP's all-reduce, of which no other rank is there."""
    traffic.add('all-reduce', bucket.buffer().nbytes)
    done: torch.futures.Future[torch.Tensor] = torch.futures.Future()
    done.set_result(bucket.buffer())
    return done


def _bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, (list, tuple)):
        return sum(map(_bytes, value))
    return 0
