"""The batches of a cycle, kept for the generator's turn."""

from collections.abc import Sequence
from typing import Any

from mmengine.dist import get_dist_info

from mmamp.logging.once import LogOnce

from .plain_batches import batches_from, plain_batches, share_of


class KeptBatches:
    """Preprocessed batches that a turn takes one after the other.

    A checkpoint that is taken inside of a cycle has to hold them, those of
    each rank; another number of ranks shares them out anew, in the order that
    torch's samplers deal out a dataset.

    Args:
        all_of_cycle (bool): Whether all are kept, or the last one. Defaults
            to True.
    """

    def __init__(self, all_of_cycle: bool = True) -> None:
        self._all_of_cycle = all_of_cycle
        self._batches: list[Any] = []
        self._is_loaded = False
        self._warn_once = LogOnce().warn

    def begin(self) -> None:
        """Begin a run: with those that were loaded for it, or none."""
        if not self._is_loaded:
            self.clear()
        self._is_loaded = False

    def add(self, batch: dict[str, Any]) -> None:
        """Keep one more batch."""
        if not self._all_of_cycle:
            self._batches = []
        self._batches.append(batch)

    def clear(self) -> None:
        """Let go of all batches."""
        self._batches = []

    def __getitem__(self, place: int) -> Any:
        """Return the batch at a place; after the last comes the first."""
        return self._batches[place % len(self._batches)]

    def state(self) -> list[Any]:
        """Return the batches of this rank, on the CPU.

        None, with a warning, where they hold what could not be loaded again.
        """
        if not self._all_of_cycle:
            return []
        try:
            batches: list[Any] = plain_batches(self._batches)
        except TypeError as error:
            self._warn_once(
                "the batches of the generator's next turn are left out of "
                f'checkpoints: they hold a {error}, which could not be '
                'loaded again. A run that is resumed inside of a cycle takes '
                'that turn on those that come after'
            )
            return []
        return batches

    def load(self, of_ranks: Sequence[list[Any]], device: Any) -> None:
        """Take over the batches that the ranks of a saved run had.

        Args:
            of_ranks (list[list]): What :meth:`state` said on each rank.
            device (torch.device or str): Where batches are wanted.
        """
        rank, world_size = get_dist_info()
        if len(of_ranks) == world_size:
            mine = of_ranks[rank]
        elif all(of_ranks):
            mine = [
                share_of(batches, rank, world_size)
                for batches in zip(*of_ranks, strict=True)
            ]
        else:
            mine = []
        self._batches = batches_from(mine, device)
        self._is_loaded = True
