import pytest
import torch
from mmengine.runner import CheckpointLoader


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Loading is restricted for the length of a test."""
    for name in (
        'TORCH_FORCE_WEIGHTS_ONLY_LOAD',
        'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD',
    ):
        monkeypatch.setenv(name, '0')
        monkeypatch.delenv(name)
    kept = torch.serialization.get_safe_globals()
    monkeypatch.setattr(
        CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes)
    )
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(kept)
