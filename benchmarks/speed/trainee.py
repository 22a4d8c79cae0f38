"""Processes that train in turns."""

import multiprocessing
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from . import handwritten, peers, stock, under_runner
from .turns import Turns
from .variants import ACCELERATE, BY_HAND, FABRIC, MMAMP, STOCK, Variant

_TRAIN = {
    BY_HAND: handwritten.train,
    MMAMP: under_runner.train,
    STOCK: stock.train,
    FABRIC: peers.train,
    ACCELERATE: peers.train,
}


SHOWN = 30
"""Lines of the log of a process that fails, the last ones."""


class Trainee:
    """A process that trains a variant when it is told to.

    Args:
        variant (Variant): What it trains.
        work_dir (Path): Where its logs go.
        threads (int, optional): That torch uses on a CPU. Defaults to None:
            torch's default.

    Attributes:
        before (int): Peak in bytes before the first iteration, known once
            the process was left: of the accelerator, or on a CPU of the
            process, above what importing takes that all have in common; 0
            where the system does not say.
        peak (int): The same, of all iterations too.
    """

    def __init__(
        self, variant: Variant, work_dir: Path, threads: int | None = None
    ) -> None:
        self.variant = variant
        self.before = self.peak = 0
        work_dir.mkdir(parents=True, exist_ok=True)
        self._log = work_dir / 'output.txt'
        # A process of its own, but one that has imported everything; if that
        # had set CUDA up, it could not use it.
        os.environ.setdefault('PYTORCH_NVML_BASED_CUDA_CHECK', '1')
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload([__name__])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(variant, theirs, str(work_dir), threads),
            daemon=True,
        )
        self._process.start()
        theirs.close()

    def run(self, iterations: int) -> float:
        """Run so many iterations, and return the seconds that they take.

        Args:
            iterations (int): How many, at once.

        Raises:
            RuntimeError: If the process has failed.
        """
        return float(self._ask(iterations))

    def __enter__(self) -> 'Trainee':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.before, self.peak = self._ask(None)
        else:
            self._process.terminate()
        self._process.join()

    def _ask(self, iterations: int | None) -> Any:
        try:
            self._pipe.send(iterations)
            return self._pipe.recv()
        except (EOFError, ConnectionResetError, BrokenPipeError):
            # Also its log, whose folder will be gone.
            said = self._log.read_text().strip().splitlines()[-SHOWN:]
            raise RuntimeError(
                f'{self.variant.model}, {self.variant}, failed:\n'
                + '\n'.join(said)
            ) from None


def _serve(
    variant: Variant, pipe: Any, work_dir: str, threads: int | None
) -> None:
    """Train a variant, in the process that was started for it."""
    turns = Turns(pipe)
    log = os.open(Path(work_dir, 'output.txt'), os.O_CREAT | os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    if threads is not None:
        torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    try:
        _TRAIN[variant.way](variant, turns, work_dir)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        raise SystemExit(1) from None
    pipe.send((turns.before, turns.memory.so_far()))
