"""The device, and the versions of what is installed."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

import torch

import mmamp
from benchmarks.gpu_kit.tables import NO_GPU
from mmamp.precision.devices import CPU

from . import Add

PACKAGES = ('mmengine', 'numpy', 'triton', 'lightning')


def find(add: Add) -> None:
    """Say what there is."""

    def say(what: str, value: object) -> None:
        add('', what=what, value=str(value))

    if torch.cuda.is_available():
        _say_gpu(say)
    else:
        say('GPU', NO_GPU)
    say('CPU', f'{CPU.describe()}, {os.cpu_count()} cores')
    say('Python', platform.python_version())
    say('mmamp', f'{mmamp.__version__} {_commit()}'.strip())
    say('torch', torch.__version__)
    for name in PACKAGES:
        try:
            say(name, version(name))
        except PackageNotFoundError:
            say(name, 'not installed')


def _say_gpu(say: 'Add') -> None:
    found = torch.cuda.get_device_properties(0)
    say('GPU', found.name)
    say('GPUs', torch.cuda.device_count())
    say('memory, MiB', found.total_memory // 2**20)
    say('multiprocessors', found.multi_processor_count)
    say('capability', f'{found.major}.{found.minor}')
    say('driver', _out('nvidia-smi', '--query-gpu=driver_version', '-i', '0'))
    say('CUDA', torch.version.cuda or f'ROCm {torch.version.hip}')
    say('cuDNN', torch.backends.cudnn.version())
    has = torch.distributed.is_nccl_available()
    say('NCCL', torch.cuda.nccl.version() if has else 'none')


def _commit() -> str:
    """Return the commit of the checkout, if git knows it."""
    return _out('git', 'describe', '--always', '--dirty')


def _out(*command: str) -> str:
    if command[0] == 'nvidia-smi':
        command = (*command, '--format=csv,noheader')
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ''
    return done.stdout.strip() if done.returncode == 0 else ''
