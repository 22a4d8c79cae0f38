"""How many micro-batches a run has."""

from typing import Any

from mmengine.logging import MessageHub


class RunLength:
    """Where a run ends, counted in micro-batches.

    MMEngine's Runner counts iterations. Where a ``train_step`` makes several
    updates of one optimizer, and equally many in each iteration so far, an
    iteration has that many micro-batches.
    """

    def __init__(self) -> None:
        self._hub: MessageHub | None = None
        self._init_counts, self._max_counts = 0, -1
        self._iteration: int | None = None
        self._in_this = self._before_this = 0
        self._saved = 0

    def begin(self, init_counts: int, max_counts: int, hub: MessageHub) -> int:
        """Take over where the run begins and ends.

        Args:
            init_counts (int): What was done before.
            max_counts (int): What the whole run has; -1 if unknown.
            hub (MessageHub): Of the run. Its ``iter`` and ``max_iters`` are
                asked where the latter is ``max_counts``.

        Returns:
            int: Micro-batches so far.
        """
        self._hub = hub
        self._init_counts, self._max_counts = init_counts, max_counts
        self._iteration = None
        self._in_this = self._before_this = 0
        saved, self._saved = self._saved, 0
        if not saved or not init_counts:
            return init_counts
        if saved % init_counts == 0:
            # Of all iterations of the run, those before a resume too.
            self._init_counts, self._before_this = 0, saved
        return saved

    def add_micro_batch(self) -> None:
        """Count one more."""
        self._see(self._now())
        self._in_this += 1

    def end(self, index: int) -> int:
        """Return the micro-batches in the whole run; -1 if unknown.

        Args:
            index (int): Those so far.
        """
        iteration = self._now()
        self._see(iteration)
        if iteration is None:
            return self._max_counts
        if (rate := self._rate()) <= 1:
            return self._max_counts
        left = (self._max_counts - iteration) * rate
        return index - self._in_this + left

    def _see(self, iteration: int | None) -> None:
        if iteration != self._iteration:
            self._before_this += self._in_this
            self._iteration, self._in_this = iteration, 0

    def _rate(self) -> int:
        """Return the micro-batches of each iteration so far.

        In the first one those that it had, and the one that comes.
        """
        done = (self._iteration or 0) - self._init_counts
        if done == 0:
            return self._in_this + 1
        return _rate_of(self._before_this, done)

    def _now(self) -> int | None:
        """Return the iteration, if that is what the run is counted in."""
        if self._max_counts < 0 or self._hub is None:
            return None
        if self._hub.get_info('max_iters') != self._max_counts:
            return None
        iteration: int | None = self._hub.get_info('iter')
        return iteration

    def state_dict(self, index: int) -> dict[str, Any]:
        """Return what a resumed run needs to know, if anything.

        Args:
            index (int): Micro-batches so far.
        """
        # The iteration that a checkpoint is taken in is over.
        if self._iteration is None or index in (0, self._iteration + 1):
            return {}
        return dict(micro_batches=index)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._saved = state.get('micro_batches', 0)


def _rate_of(count: int, iterations: int) -> int:
    """Return how many each iteration had; 1 if they are not equally many."""
    if iterations <= 0 or count % iterations:
        return 1
    return count // iterations
