"""MMEngine's own AMP wrapper, where it cannot be built."""

from mmengine.config import Config
from mmengine.device import get_device

from mmamp.config.amp import AMP_TYPE, stock_optimizers
from mmamp.errors import UsageError

DEVICES = ('cuda', 'npu', 'mlu', 'musa')
"""Those that it is for."""


def check_stock_wrappers(cfg: Config) -> None:
    """Refuse it where there is no accelerator that it knows.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If an optimizer has it.
    """
    device = get_device()
    if device in DEVICES:
        return
    for key, name in stock_optimizers(cfg).items():
        raise UsageError(
            f"{key}: MMEngine's {name} trains on {', '.join(DEVICES)} alone, "
            f'and this is {device!r}: add --amp, which puts {AMP_TYPE} in its '
            'place'
        )
