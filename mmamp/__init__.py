"""mmamp: mixed-precision training for OpenMMLab models, GANs first.

Importing it registers what trains the models of others: optimizer wrappers,
their constructor, hooks, strategies. Models, datasets and metrics of its own
are imported when a config, or an attribute, first names one.
"""

from typing import TYPE_CHECKING, Any

from .version import __version__


def _check_host() -> None:
    """Say in one line what is missing, if anything is.

    The package itself requires neither: pip would overwrite a fork of
    MMEngine or the full mmcv with the published ones.
    """
    try:
        import mmcv  # noqa: F401
        import mmengine
        import torch  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'mmamp needs {error.name}, which is not installed. PyTorch: '
            '`pip install torch==2.13.0` (a CPU build; any release from 2.4 '
            "on will do). MMEngine and mmcv: `pip install 'mmamp[mm]'`, or "
            'beside a fork of MMEngine, which that would overwrite, '
            '`pip install --no-deps mmcv-lite opencv-python`'
        ) from None
    from mmengine.utils import digit_version

    if digit_version(mmengine.__version__) < digit_version('0.10.7'):
        raise ImportError(
            f'mmamp needs mmengine >= 0.10.7, but {mmengine.__version__} is '
            'installed: `pip install mmengine==0.10.7`'
        )


_check_host()

from . import engine  # noqa: E402, F401
from .config import enable_amp  # noqa: E402
from .config.lookup import enable_lookup  # noqa: E402
from .engine.optimizers import (  # noqa: E402
    AmpOptimWrapper,
    DefaultOptimWrapperConstructor,
    OptimWrapperConstructor,
)

if TYPE_CHECKING:
    from .models import (
        BaseGAN,
        ImageGAN,
        ImageTranslationGAN,
        SeparateDistributedDataParallel,
    )

enable_lookup()

__all__ = [
    'AmpOptimWrapper',
    'BaseGAN',
    'DefaultOptimWrapperConstructor',
    'ImageGAN',
    'ImageTranslationGAN',
    'OptimWrapperConstructor',
    'SeparateDistributedDataParallel',
    '__version__',
    'enable_amp',
]


def __getattr__(name: str) -> Any:
    """Return the models among the public names."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from . import models

    return getattr(models, name)
