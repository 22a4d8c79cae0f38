"""Progress of training on a terminal, in one line that is kept up to date."""

import os
import re
import sys
import time
from datetime import timedelta
from typing import Any, TextIO

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.text import Text

from mmamp.logging.console import QuietConsole, consoles_of
from mmamp.logging.scalars import LOSS_SCALE, SKIPPED_STEPS
from mmamp.utils.consoles import new_console

from .eta import EtaHook

A_SECOND = 4
"""How often the line is drawn, by a thread of its own."""
ALIVE = '-\\|/'
"""In turns, so that the line moves while something takes long."""
_SCALAR = re.compile(r'(\S+): (-?(?:\d\S*|inf|nan))')


class LiveHook(Hook):
    """Shows the iteration, the time left, losses, loss scale and skips.

    On a terminal; in a file or a pipe, and where ``TERM=dumb``, there are the
    lines of the log. The numbers are those that were logged last: nothing is
    read from a device, and a training step stores two numbers.

    Args:
        quiet (QuietConsole): Of the run's console.
        eta (EtaHook): That is asked for the time left.
    """

    priority = 'VERY_LOW'

    def __init__(self, quiet: QuietConsole, eta: EtaHook) -> None:
        self._quiet, self._eta = quiet, eta
        self._done = self._of = 0
        self._doing = '  preparing'
        self._scalars = ''
        self._live: Live | None = None
        self._streams: list[tuple[Any, TextIO]] = []

    def before_train(self, runner: Any) -> None:
        """Begin, if this is a terminal."""
        console = new_console(file=sys.stdout)
        is_shown = console.is_terminal and not console.is_dumb_terminal
        consoles = consoles_of(runner.logger)
        if not (is_shown and is_main_process() and consoles):
            return
        self._done, self._of = runner.iter, runner.max_iters
        self._live = Live(
            get_renderable=self._line,
            console=console,
            refresh_per_second=A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        # Paths in what goes above the line can be copied whole.
        console.soft_wrap = True
        self._live.start()
        # However the process ends, the terminal has its cursor.
        console.show_cursor(True)
        self._streams = [(x, x.stream) for x in consoles]
        for handler, stream in self._streams:
            handler.setStream(_AboveLine(console, stream))
        self._outputs = sys.stdout, sys.stderr
        sys.stdout = _AboveLine(console, sys.stdout)
        if sys.stderr.isatty():
            sys.stderr = _AboveLine(console, sys.stderr)
        self._quiet.take_progress = self._take

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Keep where the run is."""
        self._done = runner.iter + 1
        self._doing = ''

    def before_val(self, runner: Any) -> None:
        """Say it before there is a batch: averages are prepared first."""
        self._doing = '  validation'

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Keep where validation is."""
        total = len(runner.val_dataloader)
        self._doing = f'  validation {batch_idx + 1}/{total}'

    def after_val(self, runner: Any) -> None:
        """Go on with training."""
        self._doing = ''

    def close(self) -> None:
        """Leave the terminal as it was; the last line stays."""
        if self._live is None:
            return
        live, self._live = self._live, None
        self._quiet.take_progress = None
        sys.stdout, sys.stderr = self._outputs
        for handler, stream in self._streams:
            handler.setStream(stream)
        live.stop()

    def _take(self, text: str) -> None:
        """Keep what is logged at the logger's interval."""
        scalars = dict(_SCALAR.findall(text))
        ends = {key: key.rpartition('.')[2] for key in scalars}
        skipped = [float(scalars[k]) for k in ends if ends[k] == SKIPPED_STEPS]
        scales = [float(scalars[k]) for k in ends if ends[k] == LOSS_SCALE]
        losses = [
            f'{key} {scalars[key]}'
            for key in ends
            if 'loss' in key and ends[key] != LOSS_SCALE
        ]
        parts = [f'skipped {sum(skipped):g}'] if skipped else []
        if scales:
            distinct = dict.fromkeys(f'{x:g}' for x in scales)
            parts.append(f'scale {"/".join(distinct)}')
        self._scalars = ''.join(f'  {x}' for x in [*parts, *losses])

    def _line(self) -> Text:
        """Return the line, as wide as there is room."""
        seconds = self._eta.seconds
        left = '?' if seconds is None else timedelta(seconds=int(seconds))
        turn = ALIVE[int(time.monotonic() * A_SECOND) % len(ALIVE)]
        text = f'{turn} Iter {self._done}/{self._of}  eta {left}{self._doing}'
        return Text(text + self._scalars, no_wrap=True, overflow='ellipsis')


class _AboveLine(FileProxy):
    """A stream whose lines go above the live one.

    Workers of a data loader are forks, which have no thread that draws, and
    may have a lock that it held: what they write goes where it went before.
    """

    def __init__(self, console: Any, file: TextIO) -> None:
        super().__init__(console, file)
        self._pid = os.getpid()

    def write(self, text: str) -> int:
        if os.getpid() != self._pid:
            return self.rich_proxied_file.write(text)
        return super().write(text)

    def flush(self) -> None:
        if os.getpid() != self._pid:
            self.rich_proxied_file.flush()
            return
        super().flush()
