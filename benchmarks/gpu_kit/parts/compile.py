"""``torch.compile`` in its modes, and CUDA graphs of the whole step."""

import copy
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner
from torch import Tensor

from benchmarks.speed import under_runner
from benchmarks.speed.models import OPTIMIZER, RandomImages
from benchmarks.speed.turns import Stopwatch
from benchmarks.speed.variants import MMAMP, Variant
from mmamp.precision.devices import current

from . import Add

WARM, TIMED = 5, 20
"""Steps that are not timed, and those that are."""
NO_GPU = 'skipped: no GPU'
DTYPES = ('bfloat16', 'float16', 'float32')

Step = Callable[[], dict[str, Tensor]]

NETWORKS: dict[str, dict[str, Any]] = {
    'default': dict(),
    'reduce-overhead': dict(mode='reduce-overhead'),
    'max-autotune-no-cudagraphs': dict(mode='max-autotune-no-cudagraphs'),
    'max-autotune': dict(mode='max-autotune'),
}
"""Arguments of ``torch.compile`` for both networks, by mode."""


def find(add: Add) -> None:
    """Time the step as it is, captured, and compiled in each mode."""
    has_gpu = torch.cuda.is_available()
    for dtype in DTYPES:
        _try(add, dtype, 'as it is', _as_it_is)
        _try(add, dtype, 'the step in a CUDA graph', _captured, has_gpu)
    if not has_gpu:
        # What is between here and the kernels that it would make.
        _try(add, DTYPES[0], 'networks, aot_eager', _compiled('aot_eager'))
    for dtype in DTYPES:
        _try(add, dtype, 'networks, default', _compiled('default'), has_gpu)
        _try(
            add,
            dtype,
            'networks, reduce-overhead',
            _compiled('reduce-overhead'),
            has_gpu,
        )
        _try(add, dtype, 'the step, default', _step_compiled, has_gpu)
    for mode in ('max-autotune-no-cudagraphs', 'max-autotune'):
        for dtype in DTYPES:
            _try(add, dtype, f'networks, {mode}', _compiled(mode), has_gpu)


def _try(
    add: Add,
    dtype: str,
    what: str,
    make: Callable[[str, str], Step],
    can: bool = True,
) -> None:
    cells = {'what': what, 'dtype': dtype}
    if not can:
        add('', **cells, result=NO_GPU)
        return
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = _time(make(dtype, folder))
    except Exception as error:
        traceback.print_exc()
        (said, *_) = str(error).strip().splitlines() or ['']
        add('', **cells, result=f'{type(error).__name__}: {said}')
    else:
        add('', **cells, result='trains', **found)
    torch._dynamo.reset()


def _time(step: Step) -> dict[str, Any]:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    for _ in range(WARM):
        step()
    current().synchronize()
    first = time.perf_counter() - began
    watch = Stopwatch()
    watch.start()
    for _ in range(TIMED):
        logs = step()
    seconds = watch.stop()
    lost = [k for k, v in logs.items() if not bool(torch.isfinite(v).all())]
    if lost:
        raise RuntimeError(f'not finite: {", ".join(lost)}')
    found: dict[str, Any] = {
        f's of the first {WARM}': first,
        'ms of a step': seconds / TIMED * 1000,
    }
    if torch.cuda.is_available():
        found['peak memory, MiB'] = torch.cuda.max_memory_allocated() >> 20
    return found


def _config(
    dtype: str, folder: str, change: Callable[[Config], None] | None = None
) -> Config:
    name = 'dcgan_large' if torch.cuda.is_available() else 'tiny'
    variant = Variant(name, MMAMP, dtype, 'channels_last')
    return under_runner.config_of(variant, folder, change)


def _step_of(cfg: Config, compiled: bool = False) -> Step:
    """Return what makes a step of a config's model, on one batch."""
    torch.manual_seed(0)
    runner = Runner.from_cfg(cfg)
    model = runner.model
    model.init_weights()
    model.train()
    wrappers = runner.build_optim_wrapper(cfg.optim_wrapper)
    batch = _batch(cfg)
    train_step = (
        torch.compile(model.train_step) if compiled else (model.train_step)
    )

    def step() -> dict[str, Tensor]:
        # The preprocessor's place for images may be the batch's own.
        logs: dict[str, Tensor] = train_step(copy.copy(batch), wrappers)
        return logs

    return step


def _batch(cfg: Config) -> dict[str, Any]:
    """Return images that are on the device already."""
    channels = cfg.model.generator.out_channels
    images = RandomImages(
        cfg.train_dataloader.batch_size,
        channels,
        cfg.model.generator.image_size,
    ).images
    return dict(inputs=images.to(get_device()))


def _as_it_is(dtype: str, folder: str) -> Step:
    return _step_of(_config(dtype, folder))


def _step_compiled(dtype: str, folder: str) -> Step:
    return _step_of(_config(dtype, folder), compiled=True)


def _compiled(mode: str) -> Callable[[str, str], Step]:
    arguments = NETWORKS.get(mode, dict(backend=mode))

    def change(cfg: Config) -> None:
        cfg.model.compile = dict(generator=arguments, discriminator=arguments)

    return lambda dtype, folder: _step_of(_config(dtype, folder, change))


def _captured(dtype: str, folder: str) -> Step:
    """Capture the whole step, both updates, as torch's recipe has it."""

    def change(cfg: Config) -> None:
        for network in ('generator', 'discriminator'):
            cfg.optim_wrapper[network].optimizer = dict(
                OPTIMIZER, capturable=True
            )

    step = _step_of(_config(dtype, folder, change))
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logs = step()

    def replay() -> dict[str, Tensor]:
        graph.replay()
        return logs

    return replay
