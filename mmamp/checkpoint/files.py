"""Files of checkpoints: written at once, or beside training."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log

from mmamp.logging.once import LogOnce

from .snapshot import Snapshot
from .storage import write


class Files:
    """Writes and removes files where it is asked to."""

    @contextmanager
    def together(self) -> Iterator[None]:
        """Have what is asked for inside be of one moment.

        Yields:
            None: Nothing.
        """
        yield

    def write(self, content: dict[str, Any], path: str, backend: Any) -> None:
        """Write a checkpoint; see :func:`~mmamp.checkpoint.storage.write`.

        Args:
            content (dict): What is in it.
            path (str): Of the file.
            backend (BaseStorageBackend): Where it goes.

        Raises:
            StorageError: If it cannot be written.
        """
        write(content, path, backend)

    def then(self, do: Callable[..., Any], *args: Any) -> None:
        """Do something once all that was asked for before is done.

        Args:
            do (Callable): Such as to remove a file.
            *args: Its arguments.
        """
        do(*args)

    def check(self) -> None:
        """Raise what has gone wrong since."""

    def wait(self) -> None:
        """Wait until all is done, and raise what has gone wrong.

        Ctrl-C breaks it off.
        """


class AsyncFiles(Files):
    """Does the same in the same order, in a thread, beside training.

    What is asked for inside of :meth:`together` is copied as it ends, and a
    thread writes the copies, one after the other. Once one thing fails, the
    rest is left, and the error is raised by the next call of any method but
    :meth:`then`. A process that ends waits for the thread, unless it is
    killed.

    A thread is enough: torch and the system let others run while they write,
    and it dies with training where that is killed. A forked process costs the
    same while it writes, and more to begin with.
    """

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._say_once = LogOnce()
        self._depth = 0
        self._contents: list[Any] = []
        self._jobs: list[Callable[[list[Any]], Any]] = []
        # A thread's own is_alive() is False ever after where Ctrl-C came while
        # it was joined, on Python before 3.13.
        self._is_done = threading.Event()
        self._is_done.set()
        self._error: BaseException | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wait for what was asked for before; copy what is asked for inside.

        Yields:
            None: Nothing; inside of another one, this is that one.
        """
        if not self._depth:
            self._wait_for_the_last()
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self._begin()
        finally:
            self._depth -= 1
            if not self._depth:
                self._contents, self._jobs = [], []

    def write(self, content: dict[str, Any], path: str, backend: Any) -> None:
        """Write a checkpoint, inside of :meth:`together`.

        Args:
            content (dict): What is in it; it may change afterwards.
            path (str): Of the file.
            backend (BaseStorageBackend): Where it goes.
        """
        index = len(self._contents)
        self._contents.append(content)
        self._jobs.append(lambda copies: write(copies[index], path, backend))

    def then(self, do: Callable[..., Any], *args: Any) -> None:
        """Do something, in the thread; inside of :meth:`together`."""
        self._jobs.append(lambda _: do(*args))

    def check(self) -> None:
        """Raise what has gone wrong since."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def wait(self) -> None:
        """Wait until all is done, and raise what has gone wrong.

        The memory of the copies is let go of.
        """
        if self._is_busy():
            print_log(
                'Waiting for the checkpoint that is being written',
                logger='current',
            )
        self._join()
        self._snapshot = Snapshot()

    def _is_busy(self) -> bool:
        return not self._is_done.is_set()

    def _join(self) -> None:
        self._is_done.wait()
        self.check()

    def _wait_for_the_last(self) -> None:
        """Wait, and say so once."""
        is_busy, began = self._is_busy(), time.perf_counter()
        self._join()
        if is_busy:
            seconds = time.perf_counter() - began
            self._say_once(
                f'Training has waited {seconds:.1f} s to save a checkpoint: '
                'the one before was still being written. A longer interval '
                'spares it that; this is said once',
                key='waited',
            )

    def _begin(self) -> None:
        if not self._jobs:
            return
        copies = self._snapshot.take(self._contents)
        self._is_done.clear()
        threading.Thread(
            target=self._run,
            args=(self._jobs, copies),
            name='mmamp.AsyncFiles',
        ).start()

    def _run(
        self, jobs: list[Callable[[list[Any]], Any]], copies: list[Any]
    ) -> None:
        """Do all jobs, in the thread."""
        try:
            for job in jobs:
                job(copies)
        except BaseException as error:
            self._error = error
            print_log(
                f'Beside training, {type(error).__name__}: {error}. The run '
                'ends at its next iteration',
                logger='current',
                level=logging.ERROR,
            )
        finally:
            self._is_done.set()
