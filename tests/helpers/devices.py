"""Devices that a test is for: the CPU, and a GPU where there is one.

A test that is marked with ``each_device`` takes a ``device``. On a machine
without a GPU what it does is run on the CPU all the same.
"""

import contextlib
import warnings

import pytest
import torch

on_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA'),
]
"""Marks of a test of a GPU alone."""
on_two_gpus = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        torch.cuda.device_count() < 2, reason='needs two CUDA devices'
    ),
]
"""Marks of a test of two of them."""

each_device = pytest.mark.parametrize(
    'device', ['cpu', pytest.param('cuda', marks=on_gpu)]
)
each_device_slow = pytest.mark.parametrize(
    'device',
    [
        pytest.param('cpu', marks=pytest.mark.slow),
        pytest.param('cuda', marks=on_gpu),
    ],
)
"""The same, where the CPU has faster tests of its own for it."""
each_dtype = pytest.mark.parametrize(
    'dtype', ['float32', 'float16', 'bfloat16']
)


@contextlib.contextmanager
def waits():
    """``with waits() as found:`` has a line for each wait for a GPU."""
    found = []

    def show(message, category, filename, lineno, *args, **kwargs):
        if 'called a synchronizing CUDA operation' in str(message):
            found.append(f'{filename}:{lineno}')

    with warnings.catch_warnings():
        warnings.simplefilter('always')
        warnings.showwarning = show
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode('warn')
        try:
            yield found
        finally:
            if torch.cuda.is_available():
                torch.cuda.set_sync_debug_mode('default')


@contextlib.contextmanager
def exact_float32():
    """Without TF32, so that float32 is what others are compared with."""
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32
    cuda.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32 = before
