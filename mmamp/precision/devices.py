"""The table of devices: what each computes in, remembers and draws."""

import functools
import platform
import re
from pathlib import Path

import torch

STATUS = Path('/proc/self/status')
"""What Linux says of this process."""


class PeakMemory:
    """Peak of the accelerator, or on a CPU of the process.

    Of the process, what it had when this was made does not count: make it
    once everything is imported.
    """

    def __init__(self) -> None:
        self._before = _resident('VmRSS')

    def so_far(self) -> int:
        """Bytes; 0 on a CPU where the system does not say."""
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
        return _resident('VmHWM') - self._before


def _resident(key: str) -> int:
    """Resident memory of this process in bytes: 'VmRSS' now, 'VmHWM' ever."""
    lines = STATUS.read_text().splitlines() if STATUS.is_file() else ()
    for line in lines:
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0


def machine() -> str:
    """What it ran on."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    else:
        name = f'CPU ({_processor()}), {torch.get_num_threads()} threads'
    return f'{name}, torch {torch.__version__}'


def _processor() -> str:
    info = Path('/proc/cpuinfo')  # Linux alone has it
    for line in info.read_text().splitlines() if info.is_file() else ():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor()


CPUINFO = Path('/proc/cpuinfo')
"""What Linux, and nobody else, says of the processor."""


def has_native(device_type: str, dtype: torch.dtype) -> bool:
    """Whether the device computes in ``dtype`` by instructions of its own.

    Args:
        device_type (str): As in ``torch.device(...).type``.
        dtype (torch.dtype): ``torch.float16`` or ``torch.bfloat16``.
    """
    if device_type == 'cpu':
        return _cpu_has_native(dtype)
    if dtype is torch.float16:
        return True
    if device_type == 'cuda':
        # torch.cuda.is_bf16_supported() also counts emulation (Turing and
        # older), which is slower than float16 there.
        return torch.version.hip is not None or (
            torch.cuda.is_available()
            and torch.cuda.get_device_capability()[0] >= 8
        )
    is_supported = getattr(
        getattr(torch, device_type, None), 'is_bf16_supported', None
    )
    return is_supported is None or bool(is_supported())


@functools.cache
def _cpu_has_native(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes in ``dtype`` by the processor's instructions."""
    query = {
        torch.bfloat16: '_is_mkldnn_bf16_supported',
        torch.float16: '_is_mkldnn_fp16_supported',
    }.get(dtype)
    try:
        has_kernels = query and bool(getattr(torch.ops.mkldnn, query)())
    except (AttributeError, RuntimeError):  # a torch built without oneDNN
        return False
    return bool(has_kernels) and not _emulates(dtype)


def _emulates(dtype: torch.dtype) -> bool:
    """Whether oneDNN's kernels make up for instructions that are missing.

    For bfloat16 it has such on every x86 processor with AVX-512, and they are
    slower than those of float32.
    """
    if dtype is not torch.bfloat16 or not CPUINFO.is_file():
        return False
    flags = re.search(r'^flags\s*:(.*)$', CPUINFO.read_text(), re.MULTILINE)
    # Other architectures have no such line.
    return flags is not None and not (
        {'avx512_bf16', 'amx_bf16'} & set(flags[1].split())
    )
