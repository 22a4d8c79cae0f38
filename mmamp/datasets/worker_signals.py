"""Data workers where a scheduler signals every process of a job."""

import atexit
import mmap
import multiprocessing
import os
import signal
from types import FrameType

from torch.utils.data import get_worker_info

# One byte, shared with workers, which are forked later.
_run_is_over = mmap.mmap(-1, 1)


@atexit.register
def _say_so() -> None:
    # Before multiprocessing's own exit function, which ends workers with
    # SIGTERM and waits for them.
    _run_is_over[0] = 1


def outlive_signals() -> None:
    """Let a worker go on after SIGTERM and SIGUSR1; no-op elsewhere.

    The main process decides what follows, and cannot save what it was doing
    if its workers are gone: torch raises an error in it then.
    """
    if get_worker_info() is None:
        return
    if multiprocessing.get_start_method() != 'fork':
        return  # a spawned worker would not see that the run is over
    signal.signal(signal.SIGTERM, _exit_if_over)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _exit_if_over(number: int, frame: FrameType | None) -> None:
    if _run_is_over[0]:
        os._exit(0)
