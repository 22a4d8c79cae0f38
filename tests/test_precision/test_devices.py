"""Of the memory of a process."""

import torch

from mmamp.precision import devices as peak_memory
from mmamp.precision.devices import PeakMemory


def test_what_was_freed_counts(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    memory = PeakMemory()
    large = torch.ones(64, 1024, 1024)  # 256 MiB, beyond any earlier peak
    del large
    assert memory.so_far() > 200 * 2**20


def test_a_system_that_does_not_say(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(peak_memory, 'STATUS', tmp_path / 'none')
    assert PeakMemory().so_far() == 0
