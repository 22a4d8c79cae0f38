"""One trial, in a process of its own: ``python -m mmamp.report.trial``.

A dtype that runs out of memory, or a model that crashes, takes this process
with it and not the report.
"""

import json
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import mmamp  # noqa: F401  (registers everything)
from mmamp.engine.checkpoints import load_safely_only
from mmamp.train import build_runner

from .watching import Curves, Numbers, Stop, Stopwatch, TrialIsOver


def main(config: str, iters: str, watch: str, out: str) -> None:
    """Run a trial.

    Args:
        config (str): Path of its config, complete.
        iters (str): Iterations.
        watch (str): ``'speed'`` or ``'numbers'``.
        out (str): Path of the JSON file to write.
    """
    load_safely_only()
    before = _resident()
    cfg = Config.fromfile(config)
    runner = build_runner(cfg)
    runner.register_hook(Stop(int(iters)))
    stopwatch, curves = Stopwatch(), Curves()
    numbers = Numbers(int(iters))
    hooks = [stopwatch] if watch == 'speed' else [curves, numbers]
    for hook in hooks:
        runner.register_hook(hook)
    with suppress(TrialIsOver):
        runner.train()
    if watch == 'speed':
        result: dict[str, Any] = dict(
            seconds=stopwatch.seconds, peak_memory=_peak_memory(before)
        )
    else:
        result = dict(
            losses=curves.losses,
            scales=curves.scales,
            skipped=curves.skipped,
            origins=numbers.origins,
            modules={
                name: dict(
                    kind=kind,
                    outputs=numbers.outputs[name].state(),
                    gradients=numbers.gradients[name].state(),
                )
                for name, kind in numbers.kinds.items()
                if name in numbers.outputs
            },
        )
    Path(out).write_text(json.dumps(result))


def _resident() -> int:
    """Bytes of memory that the process has now, where Linux tells."""
    status = Path('/proc/self/status')
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith('VmRSS'):
            return int(line.split()[1]) * 1024
    return 0


def _peak_memory(before: int) -> int:
    """Bytes: of the accelerator, or of the process above what it had."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == 'darwin' else 1024) - before


if __name__ == '__main__':
    main(*sys.argv[1:])
