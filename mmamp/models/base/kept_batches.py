"""The batches of a cycle, kept for the generator's turn."""

from typing import Any

import torch
from mmengine.dist import get_dist_info
from torch import Tensor

from mmamp.compat.torch import tree_map


class KeptBatches:
    """Preprocessed batches that a turn takes one after the other.

    A checkpoint that is taken inside of a cycle has to hold them, those of
    each rank; another number of ranks shares them out anew, in the order that
    torch's samplers deal out a dataset.
    """

    def __init__(self) -> None:
        self._batches: list[Any] = []

    def add(self, batch: dict[str, Any]) -> None:
        """Keep one more batch."""
        self._batches.append(batch)

    def clear(self) -> None:
        """Let go of all batches."""
        self._batches = []

    def __getitem__(self, place: int) -> Any:
        """Return the batch at a place; after the last comes the first."""
        return self._batches[place % len(self._batches)]

    def state(self) -> list[Any]:
        """Return the batches of this rank, on the CPU."""
        batches: list[Any] = tree_map(_to_cpu, self._batches)
        return batches

    def load(self, of_ranks: list[list[Any]], device: Any) -> None:
        """Take over the batches that the ranks of a saved run had.

        Args:
            of_ranks (list[list]): What :meth:`state` said on each rank.
            device (torch.device or str): Where batches are wanted.
        """
        rank, world_size = get_dist_info()
        if len(of_ranks) == world_size:
            mine = of_ranks[rank]
        else:
            mine = [
                tree_map(
                    lambda *parts: _share(parts, rank, world_size), *batches
                )
                for batches in zip(*of_ranks, strict=True)
            ]
        self._batches = tree_map(
            lambda x: x.to(device) if isinstance(x, Tensor) else x, mine
        )


def _to_cpu(value: Any) -> Any:
    return value.cpu() if isinstance(value, Tensor) else value


def _share(parts: tuple[Any, ...], rank: int, world_size: int) -> Any:
    """Return a rank's share of the samples that other ranks had."""
    if not isinstance(parts[0], Tensor):
        return parts[0]
    return torch.stack(parts, 1).flatten(0, 1)[rank::world_size]
