"""Commands in pseudo terminals, as a user has them."""

import os
import pty
import re
import subprocess
import termios
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Terminal:
    """A pseudo terminal in which a command runs."""

    def __init__(self, command, folder, **variables):
        self._own, other = pty.openpty()
        termios.tcsetwinsize(other, (24, 150))
        self.before = termios.tcgetattr(other)
        names = {'TERM': 'xterm', 'PYTHONPATH': str(ROOT), **variables}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            env={**os.environ, **names},
        )
        self._other = other
        self.text = ''

    def read(self, until=None):
        """Read on, to a pattern or to the end."""
        if self._other is not None and until is None:
            os.close(self._other)
            self._other = None
        while until is None or not re.search(until, self.text):
            try:
                found = os.read(self._own, 2**16)
            except OSError:  # all have closed it
                break
            self.text += found.decode()
        return self.text

    def end(self):
        self.read()
        os.close(self._own)
        return self.process.wait(timeout=60)
