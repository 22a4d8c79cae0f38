"""Of the memory of a process, and what a processor can do."""

import pytest
import torch

from mmamp.precision import devices
from mmamp.precision.devices import PeakMemory


def test_what_was_freed_counts(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    memory = PeakMemory()
    large = torch.ones(64, 1024, 1024)  # 256 MiB, beyond any earlier peak
    del large
    assert memory.so_far() > 200 * 2**20


def test_a_system_that_does_not_say(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(devices, 'STATUS', tmp_path / 'none')
    assert PeakMemory().so_far() == 0


@pytest.mark.parametrize(
    ('flags', 'native'),
    [
        ('flags\t\t: fpu avx2 avx512f avx512bw', False),
        ('flags\t\t: fpu avx512f avx512_bf16', True),
        ('flags\t\t: fpu avx512f amx_bf16 amx_tile', True),
        ('Features\t: fp asimd bf16', True),  # not an x86 processor
    ],
)
def test_native_needs_kernels_and_instructions(
    flags, native, tmp_path, monkeypatch
):
    """oneDNN has slow kernels for bfloat16 wherever there is AVX-512."""
    info = tmp_path / 'cpuinfo'
    info.write_text(f'processor\t: 0\n{flags}\nbugs\t\t: x\n')
    monkeypatch.setattr(devices, 'CPUINFO', info)
    has_kernels = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    uncached = devices._cpu_has_native.__wrapped__
    assert uncached(torch.bfloat16) is (native and has_kernels)
    assert not uncached(torch.float64)
