"""Signals that ask a training to end, noted while it goes on."""

import os
import signal
import socket
import sys
import threading
import time
from functools import cache
from types import FrameType
from typing import Any

SIGNALS = tuple(
    getattr(signal, name)
    for name in ('SIGTERM', 'SIGUSR1')
    if hasattr(signal, name)  # Windows has no SIGUSR1
)
SAME = 0.3
"""Seconds within which several signals are one: a scheduler sends it to all
processes, and torchrun hands it on to its ranks."""
STUCK = 1.0
"""Seconds that a process has to act on a second signal."""

_listening: 'SignalListener | None' = None


class SignalListener:
    """Notes the first signal; a second one acts at once.

    It listens for as long as the training is on the stack: once that has
    raised, signals do what they did before. Processes that this one forks do
    not listen.

    Attributes:
        received (int, optional): The signal that was noted.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}
        self._training: FrameType | None = None
        self._noted = 0.0
        self._seen: float | None = None

    def begin(self, runner: Any) -> bool:
        """Listen from here on.

        Args:
            runner (Runner): The runner, which trains.

        Returns:
            bool: False outside of the main thread, where nobody can.
        """
        global _listening
        if threading.current_thread() is not threading.main_thread():
            return False
        _stop_listening()  # to what is over, since it has raised
        self.received = self._seen = None
        self._training = _frame_of(runner)
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._note)
        self._watcher = _watcher(os.getpid())
        self._watcher.begin()
        _listening = self
        return True

    def end(self) -> None:
        """Listen no more."""
        global _listening
        if _listening is not self:
            return
        _listening = None
        self._training = None
        self._watcher.end()
        for number, handler in self._previous.items():
            if signal.getsignal(number) == self._note:
                # None is one that was not set in Python.
                signal.signal(number, handler or signal.SIG_DFL)
        self._previous.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal, between two instructions of the main thread's."""
        now = time.monotonic()
        if self._is_over(frame):
            self._pass_on(number)
        elif self.received is None:
            self.received = number
            self._noted = now
        elif now - self._noted >= SAME:
            self._pass_on(number)

    def _is_over(self, frame: FrameType | None) -> bool:
        """Tell whether the training has been left, by an error."""
        if self._training is None:
            return False
        while frame is not None and frame is not self._training:
            frame = frame.f_back
        return frame is None

    def _pass_on(self, number: int) -> None:
        self.end()
        signal.raise_signal(number)

    def see(self, number: int) -> None:
        """Take note of a signal in another thread than the main one.

        That may wait inside of a library for what never comes, and never run
        a handler.

        Args:
            number (int): The signal.
        """
        now = time.monotonic()
        if self._seen is None:
            self._seen = now
        elif now - self._seen >= SAME:
            time.sleep(STUCK)
            if _listening is self:
                name = signal.Signals(number).name
                text = (
                    f'Got {name} again while nothing moves: the process ends '
                    'here, and saves nothing\n'
                )
                os.write(2, text.encode())
                os._exit(128 + number)


def _frame_of(runner: Any) -> FrameType | None:
    """Return the frame that is on the stack for as long as a run trains."""
    found = None
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get('self')
        if owner is runner or owner is runner.train_loop:
            found = frame
        frame = frame.f_back
    return found


class _Watcher:
    """A thread that is told of signals even while the main one is stuck."""

    def __init__(self) -> None:
        # Never closed: the number of a closed one would soon be a file's.
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self) -> None:
        self._change(-1, self._writer.fileno())

    def end(self) -> None:
        self._change(self._writer.fileno(), -1)

    def _change(self, old: int, new: int) -> None:
        found = signal.set_wakeup_fd(new, warn_on_full_buffer=False)
        if found != old:
            # Somebody else's, such as asyncio's: a second signal has to wait
            # for the main thread then.
            signal.set_wakeup_fd(found)

    def _watch(self) -> None:
        while True:
            (number,) = self._reader.recv(1)
            listener = _listening
            if listener is not None and number in SIGNALS:
                listener.see(number)


@cache
def _watcher(process: int) -> _Watcher:
    """Return the one of a process; another's thread is not there."""
    return _Watcher()


def _stop_listening() -> None:
    if _listening is not None:
        _listening.end()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_stop_listening)
