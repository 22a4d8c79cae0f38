"""Where the processes of a run meet before there is a process group."""

import os
import socket
import time
from dataclasses import dataclass
from functools import cache
from itertools import count

from torch.distributed import (  # type: ignore[attr-defined]
    HashStore,
    PrefixStore,
    Store,
    rendezvous,
)

from mmamp.errors import UsageError

from .ranks import VARIABLES

PATIENCE = 1800.0
"""Seconds that a process waits for the others, as torch's own groups do."""
LAST_WORDS = 20.0
"""Seconds that a process waits for others to print."""


def who(rank: int) -> str:
    """Name a process in front of what it says."""
    return f'rank {rank} on {socket.gethostname()}: '


@dataclass(frozen=True)
class Meeting:
    """What the processes of a run tell each other while they start.

    No process does more where there are more of them.

    Attributes:
        store (Store): Of torch's rendezvous.
        rank (int): Of this process.
        size (int): How many there are.
    """

    store: Store
    rank: int
    size: int

    @property
    def speaks(self) -> bool:
        """bool: Whether this process is the first, or its machine's first."""
        return self.rank == 0 or os.environ.get('LOCAL_RANK') == '0'

    def mistakes(self, own: str | None) -> tuple[int, str]:
        """Wait for all, and tell how many have met a mistake.

        Args:
            own (str, optional): What this process has met, if anything.

        Returns:
            tuple[int, str]: How many, and who met the first and what it was.

        Raises:
            UsageError: If some process does not come for half an hour.
        """
        if own is not None and self.store.add('mistakes', 1) == 1:
            self.store.set('first', f'{who(self.rank)}{own}')
        if not self._all('come', PATIENCE):
            raise UsageError(
                f'{who(self.rank)}only {self.store.add("come", 0)} of '
                f'{self.size} processes have read the config within '
                f'{PATIENCE / 60:g} min'
            )
        number = self.store.add('mistakes', 0)
        return number, self.store.get('first').decode() if number else ''

    def part(self) -> None:
        """Wait until all have printed: launchers end all after the first."""
        self._all('told', LAST_WORDS)

    def _all(self, what: str, seconds: float) -> bool:
        """Wait until all have done something."""
        if self.store.add(what, 1) == self.size:
            self.store.set(f'all {what}', '')
        end = time.monotonic() + seconds
        # Ctrl-C would not end a wait of the store's own.
        while not self.store.check([f'all {what}']):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True


_meetings = count()
"""Each has keys of its own: a process may run several commands."""


@cache
def _store(rank: int, size: int) -> Store:
    """Return what all have in common; the first process holds it."""
    store: Store = next(rendezvous('env://', rank, size))[0]
    return store


def meeting(launcher: str | None) -> Meeting:
    """Return the place where the processes of this run meet.

    Args:
        launcher (str, optional): What has started them, if that is known.

    Returns:
        Meeting: Of this process alone where the environment does not tell
        where to meet.
    """
    names = VARIABLES.get(launcher or '', ())
    wanted = (*names, 'MASTER_ADDR', 'MASTER_PORT')
    if not names or any(x not in os.environ for x in wanted):
        return Meeting(HashStore(), 0, 1)
    rank, size = (int(os.environ[x]) for x in names)
    place = PrefixStore(f'mmamp {next(_meetings)}', _store(rank, size))
    return Meeting(place, rank, size)
