"""Hooks that watch a trial: its speed, or its numbers."""

import math
import time
from collections import defaultdict
from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor, nn

from mmamp.compat.torch import tree_leaves
from mmamp.engine.hooks.runner_access import named_wrappers
from mmamp.precision.devices import current
from mmamp.utils.modules import named_modules
from mmamp.utils.protocols import Recording, Scaling

from .histograms import Sizes

CHUNK = 5
"""Iterations that are timed as one where a device works on its own."""
SAMPLES = 6
"""Iterations whose numbers are counted, evenly spread over a trial."""


class TrialIsOver(Exception):
    """Raised after the last iteration, whatever loop it is in."""


class Stop(Hook):
    """Ends a trial, and says how far it is.

    Args:
        iters (int): Iterations of the trial.

    Attributes:
        done (int): Iterations so far.
    """

    priority = 'LOWEST'

    def __init__(self, iters: int) -> None:
        self.iters = iters
        self.done = 0

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        """Count the iteration, and end the trial after the last one."""
        self.done += 1
        print(f'@iteration {self.done}', flush=True)
        if self.done >= self.iters:
            raise TrialIsOver


class Stopwatch(Hook):
    """Times iterations, from one's end to the next one's, data included.

    Attributes:
        seconds (list[float]): Of each iteration; where a device works on its
            own, means of ``CHUNK`` iterations.
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._chunk = 1 if current().type == 'cpu' else CHUNK
        self._done = 0
        self._last = 0.0

    def before_train(self, runner: Any) -> None:
        """Start the clock."""
        self._last = time.perf_counter()

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        """Note the time, once the device is done."""
        self._done += 1
        if self._done % self._chunk:
            return
        if self._chunk > 1:
            current().synchronize()
        now = time.perf_counter()
        self.seconds.append((now - self._last) / self._chunk)
        self._last = now


def append_at(curve: list[Any], value: Any, index: int) -> None:
    """Put a value at its place in a curve, None where there was none before.

    Args:
        curve (list): Changed in place.
        value (Any): What to append.
        index (int): Its place.
    """
    curve += [None] * (index - len(curve))
    curve.append(value)


class Curves(Hook):
    """Keeps losses, scales and skipped steps of every iteration.

    Attributes:
        losses (dict[str, list[float]]): What the model logged, by name.
        scales (dict[str, list[float]]): Loss scale of each optimizer.
        windows (dict[str, list[int]]): Its windows so far: steps that were
            taken, and skipped ones.
        skipped (dict[str, list[int]]): The skipped ones of these.
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.losses: dict[str, list[float | None]] = defaultdict(list)
        self.scales: dict[str, list[float]] = defaultdict(list)
        self.windows: dict[str, list[int]] = defaultdict(list)
        self.skipped: dict[str, list[int]] = defaultdict(list)
        self._iteration = 0

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Note losses, loss scales and skipped steps."""
        for key, value in (outputs or {}).items():
            number = float(value)
            append_at(
                self.losses[key],
                number if math.isfinite(number) else None,
                self._iteration,
            )
        self._iteration += 1
        for name, wrapper in named_wrappers(runner):
            if isinstance(wrapper, Scaling):
                scale = wrapper.loss_scaler.get_scale()
                self.scales[name].append(float(scale))
            if isinstance(wrapper, Recording):
                self.windows[name].append(wrapper.record.windows)
                self.skipped[name].append(wrapper.record.skipped)


class Numbers(Hook):
    """Counts how large outputs and gradients of modules are.

    Every iteration is searched for modules whose output is not finite though
    what went in was; of some iterations all numbers are counted.

    Args:
        iters (int): Iterations of the trial.

    Attributes:
        outputs (dict[str, Sizes]): Of each module, by name.
        gradients (dict[str, Sizes]): Of the loss, times its scale, with
            respect to these outputs.
        kinds (dict[str, str]): The modules' classes.
        origins (dict[str, int]): Modules that made values that are not
            finite, and in how many iterations.
    """

    def __init__(self, iters: int) -> None:
        self.outputs: dict[str, Sizes] = defaultdict(Sizes)
        self.gradients: dict[str, Sizes] = defaultdict(Sizes)
        self.kinds: dict[str, str] = {}
        self.origins: dict[str, int] = defaultdict(int)
        last = max(iters - 1, 0)
        self._counted = {
            round(last * (i + 1) / SAMPLES) for i in range(SAMPLES)
        }
        self._iteration = 0
        # Of each module that runs: its name, whether what went in is finite,
        # whether a part of it has spoilt it already.
        self._running: list[tuple[str, bool, bool]] = []
        self._found: set[str] = set()

    def before_train(self, runner: Any) -> None:
        """Watch every module but the averages of others."""
        for names, module in named_modules(runner.model):
            if names[0]:
                self._watch(names[0], module)

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        """Count modules that made values which are not finite."""
        self._iteration += 1
        for name in self._found:
            self.origins[name] += 1
        self._found.clear()

    def _watch(self, name: str, module: nn.Module) -> None:
        self.kinds[name] = type(module).__name__

        def before(
            module: nn.Module, args: Any, kwargs: dict[str, Any]
        ) -> None:
            finite = _all_finite((args, kwargs))
            self._running.append((name, finite, False))

        def after(module: nn.Module, args: Any, output: Any) -> None:
            _, finite, spoilt = self._running.pop()
            if not _all_finite(output):
                if finite and not spoilt:
                    self._found.add(name)
                if self._running:
                    outer, was_finite, _ = self._running[-1]
                    self._running[-1] = (outer, was_finite, True)
            if self._iteration in self._counted:
                self._count(name, output)

        module.register_forward_pre_hook(before, with_kwargs=True)
        module.register_forward_hook(after)

    def _count(self, name: str, output: Any) -> None:
        for tensor in _floating(output):
            self.outputs[name].add(tensor)
            if tensor.requires_grad:
                tensor.register_hook(self.gradients[name].add)


def _floating(values: Any) -> list[Tensor]:
    return [
        x
        for x in tree_leaves(values)
        if isinstance(x, Tensor) and x.is_floating_point() and x.numel()
    ]


def _all_finite(values: Any) -> bool:
    return all(bool(torch.isfinite(x).all()) for x in _floating(values))
