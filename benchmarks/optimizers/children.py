"""Runs in processes of their own, which begin with all imported."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

TIMED_OUT = -signal.SIGKILL
"""The exit code of a process that took too long."""


def in_child(call: Callable[[], int], log: Path, seconds: float) -> int:
    """Call a function in a fork of this process.

    Args:
        call (Callable): Returns an exit code.
        log (Path): Gets what it prints.
        seconds (float): After these it is killed, and all it has started.

    Returns:
        int: The exit code; of a signal, its negative number.
    """
    pid = os.fork()
    if not pid:
        _be_child(call, log)
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return TIMED_OUT
        time.sleep(0.005)


def _be_child(call: Callable[[], int], log: Path) -> None:
    code = 1
    try:
        os.setsid()
        file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        code = call()
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        code = error.code if isinstance(error.code, int) else bool(error.code)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
