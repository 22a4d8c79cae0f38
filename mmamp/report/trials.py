"""Runs trials, and keeps what they say."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .trial_config import trial_config


class TrialFailed(Exception):
    """A trial ended otherwise than it should; the text says how.

    Args:
        text (str): In one line.
        output (str): All that it wrote to its standard error.
    """

    def __init__(self, text: str, output: str) -> None:
        super().__init__(text)
        self.output = output


@dataclass
class Trials:
    """Runs a config's trials, each in a process of its own.

    Args:
        cfg (Config): The user's.
        folder (Path): Where trials write.
        iters (int): Iterations of each.
        progress (Callable): Called with a text and the iterations done.
    """

    cfg: Config
    folder: Path
    iters: int
    progress: Callable[[str, int], None] = lambda text, done: None
    count: int = 0

    def run(
        self, dtype: str, watch: str, rules: list[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """Run one trial, in a process of its own.

        Args:
            dtype (str): ``'float32'``, ``'bfloat16'`` or ``'float16'``.
            watch (str): ``'speed'`` or ``'numbers'``.
            rules (list[dict], optional): Of a ``PrecisionHook``. Defaults to
                None: none beside the config's.

        Returns:
            dict: What :mod:`~mmamp.report.trial` writes.

        Raises:
            TrialFailed: If it crashes, or runs out of memory.
        """
        self.count += 1
        label = f'{dtype}, {watch}'
        if rules:
            label += f', {len(rules)} rules'
        folder = self.folder / f'{self.count:03}'
        folder.mkdir(parents=True)
        cfg = trial_config(
            self.cfg, dtype, str(folder), rules or [], self.iters
        )
        config, out = folder / 'config.py', folder / 'result.json'
        cfg.dump(config)
        command = [sys.executable, '-m', 'mmamp.report.trial', str(config)]
        with open(folder / 'errors.txt', 'w+') as errors:
            child = subprocess.Popen(
                [*command, str(self.iters), watch, str(out)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, 'PYTHONUNBUFFERED': '1'},
            )
            try:
                self._follow(child, label)
            except BaseException:
                child.kill()
                child.wait()
                raise
            errors.seek(0)
            if child.wait() or not out.exists():
                said = errors.read()
                raise TrialFailed(_why(child.returncode, said), said)
        return dict(json.loads(out.read_text()))

    def _follow(self, child: subprocess.Popen[str], label: str) -> None:
        self.progress(label, 0)
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith('@iteration '):
                self.progress(label, int(line.split()[1]))


def _why(returncode: int, errors: str) -> str:
    """Say in one line what a trial died of."""
    if returncode == -9:
        return 'out of memory: the system killed the process'
    lines = [line for line in errors.splitlines() if line.strip()]
    last = lines[-1] if lines else f'exit code {returncode}'
    if 'out of memory' in last.lower() or 'MemoryError' in last:
        return f'out of memory: {last}'
    return last
