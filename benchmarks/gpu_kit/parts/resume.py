"""A run that is killed and resumed, against one that is not."""

import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import mmamp.train
from mmamp.precision.names import COMPARED

from . import Add

CONFIG = str(Path(__file__).parents[1] / 'configs/biggan.py')
ITERATIONS = 24
KILLED_AFTER = 10
"""The checkpoint that a run is killed at; it may get a little farther."""
TORCH = dict(
    default={},
    # What cuBLAS needs to be so is in the environment.
    deterministic={'randomness.deterministic': True},
)
"""Options that have torch choose its kernels, or those that repeat."""
CUBLAS = {'CUBLAS_WORKSPACE_CONFIG': ':4096:8'}


def find(add: Add) -> None:
    """Train twice, kill and resume a third run, and compare the ends."""
    os.environ.update(CUBLAS)
    # On a CPU, tests do it in all of them.
    has_gpu = torch.cuda.is_available()
    dtypes = COMPARED if has_gpu else ('float16',)
    choices = ('deterministic', 'default') if has_gpu else ('default',)
    # What a run takes is to begin; each of them has three at a time.
    jobs = max((os.cpu_count() or 1) // 4, 1)
    with ThreadPoolExecutor(jobs) as pool:
        futures = [
            pool.submit(_try, dtype, choice)
            for choice in choices
            for dtype in dtypes
        ]
        for future in as_completed(futures):
            add('', **future.result())


def _try(dtype: str, choice: str) -> dict[str, str]:
    cells = dict(dtype=dtype, kernels=choice)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return {**cells, **_compare(dtype, TORCH[choice], Path(folder))}
        except RuntimeError as error:
            return {**cells, 'resumed': str(error)}


def _compare(
    dtype: str, options: dict[str, Any], folder: Path
) -> dict[str, str]:
    undisturbed = [
        _start(dtype, options, folder / name) for name in ('first', 'second')
    ]
    killed = folder / 'killed'
    process = _start(dtype, options, killed)
    while (
        process.is_alive() and not _checkpoint(killed, KILLED_AFTER).exists()
    ):
        time.sleep(0.002)
    is_killed = process.is_alive()
    process.kill()
    process.join()
    last = max((int(x.stem[5:]) for x in _checkpoints(killed)), default=0)
    if is_killed:
        _finish(_start(dtype, options, killed, '--resume'))
    for other in undisturbed:
        _finish(other)
    first, second, third = (
        torch.load(
            _checkpoint(folder / name, ITERATIONS),
            map_location='cpu',
            weights_only=True,
        )
        for name in ('first', 'second', 'killed')
    )
    return {
        'undisturbed, twice': difference(first, second),
        'killed after': str(last) if is_killed else 'over before it was',
        'resumed': difference(first, third),
    }


def _start(
    dtype: str, options: dict[str, Any], work_dir: Path, *args: str
) -> Any:
    """Start a process that trains, one that has imported everything."""
    argv = [
        *(CONFIG, '--work-dir', str(work_dir), *args),
        *('--cfg-options', *(f'{k}={v}' for k, v in options.items())),
        *(
            f'{key}.{side}.{setting}={value}'
            for side in ('generator', 'discriminator')
            for key, setting, value in (
                ('optim_wrapper', 'dtype', dtype),
                # Small, so that it ends in seconds on a CPU too.
                ('model', 'base_channels', 2),
            )
        ),
    ]
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_train, args=(argv,))
    process.start()
    return process


def _train(argv: list[str]) -> None:
    try:
        code = mmamp.train.main(argv)
    except Exception:
        traceback.print_exc()
        code = 1
    sys.exit(code)


def _finish(process: Any) -> None:
    process.join()
    if process.exitcode:
        raise RuntimeError(f'a run ended with exit code {process.exitcode}')


def _checkpoint(work_dir: Path, iteration: int) -> Path:
    return work_dir / f'iter_{iteration}.pth'


def _checkpoints(work_dir: Path) -> Iterator[Path]:
    return work_dir.glob('iter_*.pth')


def difference(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Tell how far two checkpoints are from each other.

    Args:
        first (dict): With ``state_dict``, ``optimizer`` and ``rng_states``.
        second (dict): The same of another run.

    Returns:
        str: ``'equal, bit for bit'``, or the farthest tensor, and the
        greatest difference in it over its greatest value.
    """
    parts = ('state_dict', 'optimizer', 'rng_states')
    of_first, of_second = (
        dict(_tensors({part: x[part] for part in parts}))
        for x in (first, second)
    )
    if of_first.keys() != of_second.keys():
        names = sorted(of_first.keys() ^ of_second.keys())
        return f'one of them lacks {len(names)} tensors, such as {names[0]}'
    differing = [
        name
        for name, value in of_first.items()
        if not torch.equal(value, of_second[name])
    ]
    if not differing:
        return 'equal, bit for bit'
    sizes = {
        name: _relative(of_first[name], of_second[name]) for name in differing
    }
    worst = max(sizes, key=sizes.__getitem__)
    return (
        f'{len(differing)} of {len(of_first)} tensors differ, the most '
        f'{worst}: by {sizes[worst]:.1e} of its greatest value'
    )


def _tensors(value: Any, name: str = '') -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _tensors(one, f'{name}.{key}'.lstrip('.'))
    elif isinstance(value, (list, tuple)):
        for i, one in enumerate(value):
            yield from _tensors(one, f'{name}.{i}')


def _relative(first: Tensor, second: Tensor) -> float:
    if first.shape != second.shape:
        return float('inf')
    first, second = first.double(), second.double()
    size = first.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    return float((first - second).abs().max() / size)
