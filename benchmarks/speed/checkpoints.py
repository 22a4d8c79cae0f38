"""How long training stands still for a checkpoint."""

import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn

from mmamp.engine.hooks import CheckpointHook
from mmamp.precision.devices import current
from mmamp.registry import MODELS

from .measure import Estimate

WIDTH = 1024
"""Of the layers: each has 4 MiB of weights, and 16 MiB in a checkpoint."""
WRITER = 'mmamp.AsyncFiles'
"""The name of the thread that writes."""


@MODELS.register_module()
class TwoNetworks(BaseModel):
    """Two networks of linear layers, which train.

    Args:
        layers (int): Of each.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        for name in ('generator', 'discriminator'):
            network = nn.Sequential(
                *(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(layers))
            )
            setattr(self, name, network)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Do nothing, as nobody asks for it."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Update each network."""
        losses = {}
        for name, wrapper in optim_wrapper.items():
            network = getattr(self, name)
            with wrapper.optim_context(network):
                x = torch.ones(8, WIDTH, device=network[0].weight.device)
                losses[name] = network(x).square().mean()
            wrapper.update_params(losses[name])
        return losses


@dataclass
class Stops:
    """What was seen of a run.

    Args:
        beside (list[float]): Seconds that training stood still for each
            checkpoint of ``async_save=True``.
        at_once (list[float]): The same without it.
        busy (list[float]): Seconds of the iterations while one was written.
        idle (list[float]): Of the others.
        gib (float): GiB of a checkpoint's file.
    """

    beside: list[float] = field(default_factory=list)
    at_once: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    gib: float = 0.0

    @property
    def ratio(self) -> Estimate:
        """Return the one over the other, pair by pair, after the first."""
        pairs = zip(self.beside[1:], self.at_once[1:], strict=True)
        return Estimate.of([[a / b for a, b in pairs]])


class StopsHook(Hook):
    """Takes the times of a run with two checkpoint hooks.

    Args:
        hooks (dict[str, CheckpointHook]): By what it is called in ``stops``.
        stops (Stops): Where the times go.
    """

    priority = 'VERY_HIGH'

    def __init__(self, hooks: dict[str, CheckpointHook], stops: Stops) -> None:
        self._stops = stops
        for name, hook in hooks.items():
            self._time(hook, getattr(stops, name))

    def _time(self, hook: Any, seconds: list[float]) -> None:
        """Note how long a hook takes in iterations that save."""
        original = hook.after_train_iter

        def timed(runner: Any, *args: Any, **kwargs: Any) -> None:
            if hook.every_n_train_iters(
                runner, hook.interval, hook.save_begin
            ):
                for thread in _writers():  # of the other hook
                    thread.join()
            before, began = hook.last_ckpt, time.perf_counter()
            original(runner, *args, **kwargs)
            if hook.last_ckpt != before:
                seconds.append(time.perf_counter() - began)

        hook.after_train_iter = timed

    def before_train_iter(self, *_: Any, **__: Any) -> None:
        """Note when the iteration begins."""
        self._is_busy = bool(_writers())
        self._began = time.perf_counter()

    def after_train_iter(self, *_: Any, **__: Any) -> None:
        """Note how long it took, before anything is saved."""
        current().synchronize()
        seconds = time.perf_counter() - self._began
        seen = self._stops.busy if self._is_busy else self._stops.idle
        seen.append(seconds)


def _writers() -> list[threading.Thread]:
    return [x for x in threading.enumerate() if x.name == WRITER]


def measure_stops(
    layers: int,
    pairs: int,
    apart: int,
    folder: Path,
    threads: int | None = None,
) -> Stops:
    """Save in turns, beside training and at once, in a process of its own.

    Args:
        layers (int): Of each of two networks.
        pairs (int): Checkpoints of either kind.
        apart (int): Iterations from one to the next.
        folder (Path): Where they go.
        threads (int, optional): On a CPU. Defaults to None: torch's default.

    Raises:
        RuntimeError: If the process fails.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(
                _train, layers, pairs, apart, folder, threads
            ).result()
        except (OSError, BrokenProcessPool) as error:
            raise RuntimeError(f'checkpoints: {error}') from error


def _train(
    layers: int, pairs: int, apart: int, folder: Path, threads: int | None
) -> Stops:
    if threads is not None:
        torch.set_num_threads(threads)
    stops = Stops()
    runner = Runner.from_cfg(_config(layers, 2 * pairs * apart, folder))
    hooks = {
        name: CheckpointHook(
            interval=2 * apart,
            by_epoch=False,
            save_begin=begin,
            save_last=False,
            max_keep_ckpts=1,
            out_dir=str(folder / name),
            async_save=name == 'beside',
        )
        for name, begin in (('beside', apart), ('at_once', 0))
    }
    for hook in hooks.values():
        runner.register_hook(hook)
    runner.register_hook(StopsHook(hooks, stops))
    runner.train()
    (file,) = (folder / 'at_once').glob('*/*.pth')
    stops.gib = file.stat().st_size / 2**30
    return stops


def _config(layers: int, iterations: int, folder: Path) -> Config:
    optimizer = dict(
        type='AmpOptimWrapper',
        dtype='float32',
        optimizer=dict(type='Adam', lr=1e-6),
    )
    return Config(
        dict(
            default_scope='mmamp',
            work_dir=str(folder / 'run'),
            model=dict(type='TwoNetworks', layers=layers),
            train_dataloader=dict(
                batch_size=8,
                num_workers=0,
                sampler=dict(type='InfiniteSampler'),
                collate_fn=dict(type='default_collate'),
                dataset=dict(
                    type='RandomImages', num=8, channels=1, image_size=8
                ),
            ),
            train_cfg=dict(by_epoch=False, max_iters=iterations),
            optim_wrapper=dict(
                constructor='OptimWrapperConstructor',
                generator=optimizer,
                discriminator=optimizer,
            ),
            default_hooks=dict(checkpoint=None),
            custom_hooks=[dict(type='EMAHook'), dict(type='StateHook')],
            log_processor=dict(by_epoch=False),
            log_level='ERROR',
        )
    )
