"""Parts, one after the other, each within its own time."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE = 5.0
"""Seconds that a part has to end in once it is told to."""


@dataclass(frozen=True)
class Part:
    """One of the things that are tried.

    Args:
        name (str): Of its module in ``parts``.
        title (str): What tables call it.
        share (float): Of the time; what those before it leave is dealt out
            among it and those after it.
    """

    name: str
    title: str
    share: float


PARTS = [
    Part('device', 'The device', 45),
    Part('tests', 'The tests marked `gpu`', 115),
    Part('waits', 'Waits for the device in an iteration', 70),
    Part('resume', 'Killed and resumed', 60),
    Part('benchmark', 'Time and memory', 140),
    Part('compile', '`torch.compile` and CUDA graphs', 60),
    Part('fsdp2', 'FSDP2 on one device', 20),
    Part('report', 'The report', 45),
    Part('plan', 'The plan', 40),
    Part('optimizers', 'Optimizers', 40),
]
"""In the order in which they are worth most if the rest is cut off."""


def limits(
    parts: Sequence[Part], end: float, now: Callable[[], float]
) -> Iterator[tuple[Part, float]]:
    """Yield each part, and the seconds that it may take.

    Args:
        parts (Sequence[Part]): In their order.
        end (float): When the last of them is over.
        now (Callable): The clock, asked as each begins.
    """
    for i, part in enumerate(parts):
        left = sum(x.share for x in parts[i:])
        yield part, max(end - now(), 0.0) * part.share / left


def run(command: Sequence[str], seconds: float, log: Path) -> str:
    """Run a part, and tell what became of it.

    Args:
        command (Sequence[str]): Its process.
        seconds (float): After these it is ended, with all it has started.
        log (Path): What it prints goes to its end.

    Returns:
        str: ``'done'``, or what else.
    """
    with open(log, 'ab') as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=os.setpgrp,
        )
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return f'cut off after {seconds:.0f} s'
    finally:
        _end(process)
    return (
        'done' if code == 0 else f'failed (exit code {code}): see {log.name}'
    )


def _end(process: 'subprocess.Popen[bytes]') -> None:
    """End a process and those it has started, in its group."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        begun = time.monotonic()
        while process.poll() is None and time.monotonic() - begun < GRACE:
            time.sleep(0.05)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: 'subprocess.Popen[bytes]', number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
