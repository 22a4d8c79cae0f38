import pytest
import torch

from mmamp.precision import devices
from mmamp.precision.dtypes import (
    at_least_float32,
    autocast_dtypes,
    resolve_dtype,
)


class TestResolveDtype:
    def test_default_is_torchs(self):
        assert resolve_dtype(None, 'cpu') is torch.bfloat16
        assert resolve_dtype(None, 'cuda') is torch.float16

    def test_names_and_dtypes(self):
        for name in ('float16', 'bfloat16', 'float32'):
            assert resolve_dtype(name, 'cpu') is getattr(torch, name)
            dtype = getattr(torch, name)
            assert resolve_dtype(dtype, 'cpu') is dtype

    def test_auto_on_a_cpu_without_either_is_bfloat16(self, monkeypatch):
        monkeypatch.setattr(devices, '_cpu_has_native', lambda _: False)
        assert resolve_dtype('auto', 'cpu') is torch.bfloat16

    def test_auto_takes_what_the_hardware_has(self, monkeypatch):
        monkeypatch.setattr(
            devices, '_cpu_has_native', lambda dtype: dtype is torch.float16
        )
        assert resolve_dtype('auto', 'cpu') is torch.float16

    def test_an_unsupported_dtype_names_those_there_are(self):
        with pytest.raises(ValueError, match="'cpu'.*bfloat16, float16"):
            resolve_dtype(torch.float64, 'cpu')

    def test_an_unknown_name_lists_those_that_are_valid(self):
        valid = "'float16', 'bfloat16', 'float32', 'auto', or None"
        with pytest.raises(ValueError, match=f"'float64' is unknown.*{valid}"):
            resolve_dtype('float64', 'cpu')

    def test_a_backend_of_its_own_is_asked(self, monkeypatch):
        class Backend:
            @staticmethod
            def get_amp_supported_dtype():
                return [torch.float16]

        monkeypatch.setattr(torch, 'npu', Backend, raising=False)
        assert autocast_dtypes('npu') == (torch.float16,)
        assert resolve_dtype('auto', 'npu') is torch.float16
        with pytest.raises(ValueError, match='it can: float16, float32'):
            resolve_dtype('bfloat16', 'npu')


def test_at_least_float32():
    for dtype in (torch.float16, torch.bfloat16):
        assert at_least_float32(torch.ones((), dtype=dtype)).dtype is (
            torch.float32
        )
    double = torch.ones((), dtype=torch.float64)
    assert at_least_float32(double) is double
