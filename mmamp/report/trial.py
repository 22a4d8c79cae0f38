"""One trial, in a process of its own: ``python -m mmamp.report.trial``.

A dtype that runs out of memory, or a model that crashes, takes this process
with it and not the report.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mmamp  # noqa: F401  (registers everything)
from mmamp.checkpoint.safe_load import load_safely_only
from mmamp.launcher.storage import load_from_storage
from mmamp.precision.devices import PeakMemory
from mmamp.train import build_runner

from .watching import Curves, Numbers, Stop, Stopwatch, TrialIsOver


def main(config: str, iters: str, watch: str, out: str) -> None:
    """Run a trial, and write what was seen.

    Args:
        config (str): Path of its config, complete.
        iters (str): Iterations.
        watch (str): ``'speed'`` or ``'numbers'``.
        out (str): Path of the JSON file to write.
    """
    load_safely_only()
    memory = PeakMemory()
    cfg = Config.fromfile(config)
    load_from_storage(cfg)
    runner = build_runner(cfg)
    stop = Stop(int(iters))
    runner.register_hook(stop)
    stopwatch, curves = Stopwatch(), Curves()
    numbers = Numbers(int(iters))
    hooks = [stopwatch] if watch == 'speed' else [curves, numbers]
    for hook in hooks:
        runner.register_hook(hook)
    with suppress(TrialIsOver):
        runner.train()
        sys.exit(f'training ended after {stop.done} of {iters} iterations')
    if watch == 'speed':
        result: dict[str, Any] = dict(
            seconds=stopwatch.seconds, peak_memory=memory.so_far()
        )
    else:
        result = dict(
            losses=curves.losses,
            scales=curves.scales,
            skipped=curves.skipped,
            windows=curves.windows,
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


if __name__ == '__main__':
    main(*sys.argv[1:])
