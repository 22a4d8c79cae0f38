"""Of the table of devices: memory, random numbers, what backends have."""

import subprocess
import sys
import types

import pytest
import torch

from mmamp.precision import devices
from mmamp.precision.devices import (
    CPU,
    DEVICES,
    Device,
    PeakMemory,
    current,
    device_of_type,
    rng_kept,
    rng_states,
    set_rng_states,
)
from mmamp.randomness.state import rng_state, set_rng_state


class Backend(types.ModuleType):
    """What a backend from outside of torch puts there, as torch_npu does."""

    def __init__(self, begun=True):
        super().__init__('backend')
        self.begun, self.state = begun, torch.arange(4, dtype=torch.uint8)

    def is_available(self):
        return True

    def is_initialized(self):
        return self.begun

    def get_rng_state(self):
        return self.state.clone()

    def set_rng_state(self, state):
        self.state = state

    def max_memory_allocated(self):
        return 12345

    def get_device_name(self):
        return 'Accelerator 9'


@pytest.fixture(params=['npu', 'mlu', 'musa', 'xpu', 'mps'])
def backend(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(devices, 'current_accelerator', lambda: None)
    found = Backend()
    monkeypatch.setattr(torch, request.param, found, raising=False)
    found.type = request.param
    return found


FREED = """
import torch
from mmamp.precision.devices import PeakMemory
memory = PeakMemory()
large = torch.ones(64, 1024, 1024)  # 256 MiB
del large
print(memory.so_far())
"""


@pytest.mark.skipif(current() is not CPU, reason='a CPU counts the process')
def test_what_was_freed_counts():
    # A process of its own: what other tests leave may be freed meanwhile.
    said = subprocess.run(
        [sys.executable, '-c', FREED], capture_output=True, text=True
    )
    assert int(said.stdout) > 200 * 2**20, said.stderr


def test_a_system_that_does_not_say(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, 'current', lambda: CPU)
    monkeypatch.setattr(devices, 'STATUS', tmp_path / 'none')
    assert PeakMemory().so_far() == 0


def test_memory_of_any_accelerator(backend):
    assert current().type == backend.type
    assert PeakMemory().so_far() == 12345
    assert 'Accelerator 9' in devices.machine()


def test_memory_of_a_backend_that_keeps_no_peak(monkeypatch):
    mps = types.SimpleNamespace(driver_allocated_memory=lambda: 77)
    monkeypatch.setattr(torch, 'mps', mps)
    assert DEVICES['mps'].peak_memory() == 77


def test_random_numbers_of_any_accelerator(backend):
    state = rng_state()
    torch.testing.assert_close(state[backend.type], backend.state)
    kept = backend.state
    backend.state = torch.zeros(4, dtype=torch.uint8)
    set_rng_state(state)
    torch.testing.assert_close(backend.state, kept)


def test_random_numbers_are_put_back_on_all_devices(backend):
    kept = backend.state.clone()
    expected = torch.rand(3, generator=torch.Generator().manual_seed(0))
    torch.default_generator.manual_seed(0)
    with rng_kept():
        torch.rand(5)
        backend.state = torch.zeros(4, dtype=torch.uint8)
    torch.testing.assert_close(torch.rand(3), expected)
    torch.testing.assert_close(backend.state, kept)


def test_a_device_that_nobody_has_used_is_not_set_up(backend):
    backend.begun = False
    assert backend.type not in rng_states()


def test_states_of_a_machine_with_other_devices_are_left_out():
    before = rng_state()
    set_rng_states(dict(musa=torch.zeros(4), python=1))
    after = rng_state()
    assert list(after) == list(before)
    assert torch.equal(after['torch'], before['torch'])


def test_cpu_alone(monkeypatch):
    monkeypatch.setattr(devices, 'current_accelerator', lambda: None)
    for name in ('cuda', 'xpu', 'mps'):
        monkeypatch.setattr(
            getattr(torch, name), 'is_available', lambda: False
        )
    assert current() is CPU
    assert rng_states() == {}
    current().synchronize()
    assert devices.machine().startswith('CPU (')


def test_a_device_that_is_in_no_row_is_asked_by_the_same_names():
    device = device_of_type('hpu')
    assert device == Device('hpu')
    assert not device.is_used()
    assert not device.can_fuse()
    assert device.peak_memory() == 0


@pytest.mark.parametrize('name', DEVICES)
def test_torch_has_what_a_row_asks(name):
    """Of the backends in this build of torch, whether or not it has one."""
    module = DEVICES[name].module
    if module is None or name == 'cpu':
        assert name in ('cpu', 'npu', 'mlu', 'musa')
        return
    for asked in ('is_available', 'synchronize', 'get_rng_state'):
        assert callable(getattr(module, asked))
    assert any(hasattr(module, x) for x in DEVICES[name].peak)


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
