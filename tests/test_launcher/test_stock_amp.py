import pytest
from mmengine.config import Config
from mmengine.device import get_device

from mmamp.config import enable_amp
from mmamp.errors import UsageError
from mmamp.launcher.stock_amp import DEVICES, check_stock_wrappers


@pytest.mark.parametrize('kind', ['AmpOptimWrapper', 'OptimWrapper'])
def test_mmengines_wrapper_without_an_accelerator(kind):
    cfg = Config(
        dict(
            optim_wrapper=dict(
                generator=dict(type=kind, optimizer=dict(type='SGD', lr=1)),
                constructor='A',
            )
        )
    )
    if kind == 'OptimWrapper' or get_device() in DEVICES:
        check_stock_wrappers(cfg)
        return
    with pytest.raises(UsageError, match=r'wrapper.generator: .* add --amp'):
        check_stock_wrappers(cfg)
    check_stock_wrappers(enable_amp(cfg))
