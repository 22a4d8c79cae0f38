"""Where a run is: what its Runner says, else what was counted."""

from collections.abc import Mapping
from typing import Any

from mmengine.logging import MessageHub


def run_info() -> Mapping[str, Any]:
    """Return what the message hub says of the run that is going on.

    The hub is the process's, not the run's: of a Runner that is over it says
    nothing here, although all is left in it. Not a copy.
    """
    info: Mapping[str, Any] = MessageHub.get_current_instance().runtime_info
    is_over = 'experiment_name' in info and 'loop_stage' not in info
    return {} if is_over else info


class Progress:
    """A model's place in the run that trains it.

    A Runner writes the iteration into the message hub. What stands there is
    believed if it was written since this model looked last, or else it is of
    another run: a loop of a user's own counts from 0.

    A model that is copied or unpickled is in no run yet.

    Attributes:
        iteration (int): The one that goes on, from 0 on; -1 before the first.
        max_iters (int): Iterations in the run; -1 if unknown.
    """

    def __init__(self) -> None:
        self.iteration = -1
        self.max_iters = -1
        self._seen = _written()
        self._hub: MessageHub | None = None
        self._kept: dict[str, Any] = {}

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Begin anew in a copy."""
        return Progress, ()

    def advance(self, begins: bool = False) -> None:
        """Go on to the next iteration.

        Args:
            begins (bool): Whether it is the first one of other optimizers.
                Defaults to False.
        """
        if begins:
            self.iteration = self.max_iters = -1
            self._hub, self._kept = None, {}
        seen, self._seen = self._seen, _written()
        hub, iteration, max_iters, _ = self._seen
        is_new = any(
            now is not then for now, then in zip(self._seen, seen, strict=True)
        )
        if iteration is None or not is_new:
            self.iteration += 1
            return
        self._hub = hub
        self.iteration = iteration
        self.max_iters = -1 if max_iters is None else max_iters

    @property
    def is_told(self) -> bool:
        """bool: Whether a Runner says where the run is."""
        return self._hub is not None

    def keep(self, key: str, value: Any) -> None:
        """Keep what the run has to go on with after ``--resume``.

        Args:
            key (str): In the message hub, which checkpoints hold.
            value (Any): Plain.
        """
        self._kept[key] = value
        if self._hub is not None:
            self._hub.update_info(key, value)

    def kept(self, key: str) -> Any:
        """Return what was kept, by a run that this one resumes too.

        Args:
            key (str): As given to :meth:`keep`; None if there is nothing.
        """
        if key not in self._kept and self._hub is not None:
            return self._hub.get_info(key)
        return self._kept.get(key)


def _written() -> tuple[Any, ...]:
    """Return what only a Runner writes; another object is another writing."""
    info = run_info()
    keys = ('iter', 'max_iters', 'cfg')
    return MessageHub.get_current_instance(), *map(info.get, keys)
