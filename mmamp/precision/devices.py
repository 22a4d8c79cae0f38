"""The table of devices: what each computes in, remembers and draws.

A new accelerator is a row of :data:`DEVICES`. What differs from device to
device is asked here and nowhere else; a backend is asked for it by the names
that torch has for it (``torch.<type>.get_rng_state`` and so on), which
backends from outside of torch (NPU, MLU, MUSA) follow.
"""

import functools
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmamp.compat.torch import (
    current_accelerator,
    fused_kernel_devices,
    mkldnn_has,
)

STATUS = Path('/proc/self/status')
"""What Linux says of this process."""
MEMINFO = Path('/proc/meminfo')
"""What Linux says of the machine's memory."""
CPUINFO = Path('/proc/cpuinfo')
"""What Linux, and nobody else, says of the processor."""


def _asked(module: Any) -> bool:
    """Ask a backend whether it has bfloat16; one that cannot say has it."""
    is_supported = getattr(module, 'is_bf16_supported', None)
    return is_supported is None or bool(is_supported())


def _cuda_bfloat16(module: Any) -> bool:
    # torch.cuda.is_bf16_supported() also counts emulation (Turing and
    # older), which is slower than float16 there.
    return torch.version.hip is not None or (
        module.is_available() and module.get_device_capability()[0] >= 8
    )


@dataclass(frozen=True)
class Device:
    """One row: a kind of device.

    Args:
        type (str): As in ``torch.device(...).type``.
        bfloat16 (Callable): Whether the hardware has bfloat16, asked of the
            backend's module. Defaults to its ``is_bf16_supported()``.
        has_fused (bool): Whether torch has fused optimizers for it. Torch
            counts backends from outside among those with such kernels,
            whether they have them or not. Defaults to False.
        is_safe_norm (bool): Whether its autocast takes norms in float32.
            Defaults to False.
        has_fast_float64 (bool): Whether sums in float64 cost about what those
            in float32 do, which wait for the memory. Defaults to False.
        has_queue (bool): Whether it works on its own, so that to ask for a
            result is to wait for it. Defaults to True.
        peak (tuple[str]): What tells the most bytes that were allocated, the
            first that the backend has. Defaults to torch's name for it.
    """

    type: str
    bfloat16: Callable[[Any], bool] = _asked
    has_fused: bool = False
    is_safe_norm: bool = False
    has_fast_float64: bool = False
    has_queue: bool = True
    peak: tuple[str, ...] = ('max_memory_allocated',)

    @property
    def module(self) -> Any:
        """module: The backend's in torch; None where torch has none."""
        return getattr(torch, self.type, None)

    def is_used(self) -> bool:
        """Tell whether this process has the device, and has begun to use it.

        To ask more of one that is not would set it up.
        """
        module = self.module
        if module is None or not getattr(module, 'is_available', bool)():
            return False
        begun = getattr(module, 'is_initialized', None)
        return begun is None or bool(begun())

    def has_native(self, dtype: torch.dtype) -> bool:
        """Tell whether it computes in a dtype by instructions of its own.

        Args:
            dtype (torch.dtype): ``torch.float16`` or ``torch.bfloat16``.
        """
        return dtype is torch.float16 or self.bfloat16(self.module)

    def autocast_dtypes(self) -> tuple[torch.dtype, ...]:
        """Return the dtypes that autocast has on it, the best first."""
        if hasattr(self.module, 'get_amp_supported_dtype'):
            # What a backend outside of torch says of itself.
            return tuple(self.module.get_amp_supported_dtype())
        if not self.has_native(torch.bfloat16):
            return (torch.float16,)
        return (torch.bfloat16, torch.float16)

    def can_fuse(self) -> bool:
        """Tell whether torch's optimizers have fused kernels on it."""
        return self.has_fused and self.type in fused_kernel_devices()

    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""
        self.module.synchronize()

    def pinned(self, nbytes: int) -> Tensor:
        """Return memory of the CPU that it copies into beside other work.

        Args:
            nbytes (int): How much; plain memory where torch cannot pin any
                for this device.
        """
        try:
            return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)
        except RuntimeError:
            return CPU.pinned(nbytes)

    def rng_state(self) -> Tensor:
        """Return the state of its random-number generator."""
        state: Tensor = self.module.get_rng_state()
        return state

    def set_rng_state(self, state: Tensor) -> None:
        """Set the state of its random-number generator.

        Args:
            state (Tensor): On any device.
        """
        self.module.set_rng_state(state.cpu())

    def peak_memory(self) -> int:
        """Return the most bytes that were allocated on it; 0 if unknown."""
        for name in self.peak:
            if ask := getattr(self.module, name, None):
                return int(ask())
        return 0

    def describe(self) -> str:
        """Return the name of the hardware."""
        ask = getattr(self.module, 'get_device_name', None)
        return str(ask()) if ask else f'{self.type} ({_processor()})'


class _CPU(Device):
    """The processor, which is asked in other ways."""

    def has_native(self, dtype: torch.dtype) -> bool:
        """Tell whether oneDNN computes in it by instructions."""
        return _cpu_has_native(dtype)

    def autocast_dtypes(self) -> tuple[torch.dtype, ...]:
        """Return both, whatever the processor has."""
        return (torch.bfloat16, torch.float16)

    def pinned(self, nbytes: int) -> Tensor:
        """Return memory; there is no need to pin it."""
        return torch.empty(nbytes, dtype=torch.uint8)

    def rng_state(self) -> Tensor:
        """Return the state of torch's own generator."""
        return torch.get_rng_state()

    def set_rng_state(self, state: Tensor) -> None:
        """Set the state of torch's own generator."""
        torch.set_rng_state(state.cpu())

    def peak_memory(self) -> int:
        """Return the most that the process had; 0 if the system is silent."""
        return _resident('VmHWM')

    def describe(self) -> str:
        """Return the processor and how many threads torch has on it."""
        return f'CPU ({_processor()}), {torch.get_num_threads()} threads'


CPU = _CPU('cpu', has_fused=True, has_queue=False)
DEVICES = {
    row.type: row
    for row in (
        CPU,
        Device(
            'cuda',
            bfloat16=_cuda_bfloat16,
            has_fused=True,
            is_safe_norm=True,
            has_fast_float64=True,
        ),
        # It keeps no peak; what the driver holds shrinks only on demand.
        Device(
            'mps',
            has_fused=True,
            peak=('max_memory_allocated', 'driver_allocated_memory'),
        ),
        Device('xpu', has_fused=True),
        Device('npu'),
        Device('mlu'),
        Device('musa'),
    )
}
"""The devices that are known, by type."""


def device_of_type(device_type: str) -> Device:
    """Return a device's row; one that nobody knows is taken at its word.

    Args:
        device_type (str): As in ``torch.device(...).type``.
    """
    return DEVICES.get(device_type) or Device(device_type)


@contextmanager
def playing(device_type: str) -> Iterator[None]:
    """Have the CPU be asked as if it were another device, a modern one.

    For plans of what happens there.

    Args:
        device_type (str): As in ``torch.device(...).type``.
    """
    played = replace(device_of_type(device_type), type=CPU.type)
    played = replace(played, bfloat16=lambda module: True)
    DEVICES[CPU.type] = played
    try:
        yield
    finally:
        DEVICES[CPU.type] = CPU


def accelerators() -> list[Device]:
    """Return the accelerators that this process uses."""
    return [x for x in DEVICES.values() if x.type != CPU.type and x.is_used()]


def current() -> Device:
    """Return the accelerator of this process, or else the CPU."""
    found = current_accelerator() or next(
        (
            x.type
            for x in DEVICES.values()
            if x.type != CPU.type and _is_there(x)
        ),
        CPU.type,
    )
    return device_of_type(found)


def _is_there(device: Device) -> bool:
    return bool(getattr(device.module, 'is_available', bool)())


def has_native(device_type: str, dtype: torch.dtype) -> bool:
    """Tell whether a device computes in ``dtype`` by its own instructions.

    Args:
        device_type (str): As in ``torch.device(...).type``.
        dtype (torch.dtype): ``torch.float16`` or ``torch.bfloat16``.
    """
    return device_of_type(device_type).has_native(dtype)


def rng_states() -> dict[str, Tensor]:
    """Return the states of all accelerators' random-number generators."""
    return {x.type: x.rng_state() for x in accelerators()}


def set_rng_states(states: dict[str, Any]) -> None:
    """Go on from states.

    Args:
        states (dict[str, Tensor]): From :func:`rng_states`, maybe of another
            machine: those of devices that are not here are left out. Other
            keys may be there too.
    """
    for device in DEVICES.values():
        if (
            device.type != CPU.type
            and device.type in states
            and _is_there(device)
        ):
            device.set_rng_state(states[device.type])


@contextmanager
def rng_kept() -> Iterator[None]:
    """Put torch's random-number generators back, on every device."""
    kept = CPU.rng_state(), rng_states()
    try:
        yield
    finally:
        CPU.set_rng_state(kept[0])
        set_rng_states(kept[1])


class PeakMemory:
    """Peak of the accelerator, or on a CPU of the process.

    Of the process, what it had when this was made does not count: make it
    once everything is imported.
    """

    def __init__(self) -> None:
        self._before = _resident('VmRSS')

    def so_far(self) -> int:
        """Return bytes; 0 on a CPU where the system does not say."""
        device = current()
        if device is not CPU and device.is_used():
            return device.peak_memory()
        return CPU.peak_memory() - self._before


def machine() -> str:
    """Return what this process runs on, in words."""
    return f'{current().describe()}, torch {torch.__version__}'


def _resident(key: str) -> int:
    """Return this process's bytes in memory: 'VmRSS' now, 'VmHWM' ever."""
    lines = STATUS.read_text().splitlines() if STATUS.is_file() else ()
    for line in lines:
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0


def free_memory() -> int:
    """Return bytes that processes of this machine can have; 0 if unknown."""
    lines = MEMINFO.read_text().splitlines() if MEMINFO.is_file() else ()
    for line in lines:
        if line.startswith('MemAvailable:'):
            return int(line.split()[1]) * 1024
    return 0


def _processor() -> str:
    for line in CPUINFO.read_text().splitlines() if CPUINFO.is_file() else ():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor()


@functools.cache
def _cpu_has_native(dtype: torch.dtype) -> bool:
    """Tell whether oneDNN computes in it by the processor's instructions."""
    return mkldnn_has(dtype) and not _emulates(dtype)


def _emulates(dtype: torch.dtype) -> bool:
    """Tell whether oneDNN makes up for instructions that are missing.

    For bfloat16 it has kernels on every x86 processor with AVX-512, and they
    are slower than those of float32.
    """
    if dtype is not torch.bfloat16 or not CPUINFO.is_file():
        return False
    flags = re.search(r'^flags\s*:(.*)$', CPUINFO.read_text(), re.MULTILINE)
    # Other architectures have no such line.
    return flags is not None and not (
        {'avx512_bf16', 'amx_bf16'} & set(flags[1].split())
    )
