"""Counts what a rank sends and gets."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mmamp.compat.torch import (
    TorchDispatchMode,
    begin_fake_group,
    rebuild_buckets_for_real,
)

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
        sizes (Counter): Bytes of what is whole, by kind.
        sent (float): Bytes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()
        self.sent = 0.0

    def begin(self) -> None:
        """Count from zero."""
        self.calls.clear()
        self.sizes.clear()
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
        self.sizes[kind] += size
        self.sent += size * passes.get(kind, 1.0) * (n - 1) / n

    def watch_ddp(self, model: nn.Module, has_numbers: bool = True) -> None:
        """Count what DDP reduces, which no operator tells.

        Args:
            model (nn.Module): Has some in it, maybe.
            has_numbers (bool): Whether tensors have some. Defaults to True.
        """
        for module in model.modules():
            # One for each network has none of its own.
            if isinstance(module, DistributedDataParallel) and hasattr(
                module, 'reducer'
            ):
                module.register_comm_hook(self, _reduced)
                if not has_numbers:
                    rebuild_buckets_for_real(module)


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


@contextmanager
def ranks_that_are_not_there(ranks: int) -> Iterator[None]:
    """Have this process be the first of so many, the only one there is.

    Args:
        ranks (int): How many there seem to be.
    """
    make = distributed.new_group

    def new_group(*args: Any, backend: Any = None, **kwargs: Any) -> Any:
        """Make one of the same kind, whatever a hook asks for."""
        return make(*args, **kwargs)

    place = dict(RANK='0', WORLD_SIZE=str(ranks), LOCAL_RANK='0')
    with (
        patch.dict(os.environ, place),
        patch.object(distributed, 'new_group', new_group),
    ):
        begin_fake_group(ranks)
        try:
            yield
        finally:
            distributed.destroy_process_group()
