"""The model wrapper that a model needs in several processes."""

from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.model import (
    BaseModel,
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    MMSeparateDistributedDataParallel,
)
from mmengine.registry import MODEL_WRAPPERS, MODELS, Registry
from torch.nn.parallel import DistributedDataParallel

from mmamp.errors import UsageError

SEPARATE = 'mmamp.SeparateDistributedDataParallel'


def set_model_wrapper(cfg: Config) -> None:
    """Give a distributed run the wrapper that its model needs, and say so.

    ``MMDistributedDataParallel``, MMEngine's default, calls the model's
    ``forward(mode='loss')`` and not its ``train_step``; and on a machine
    without an accelerator it asks for one.

    Args:
        cfg (Config): The config, changed in place.

    Raises:
        UsageError: If the config's own wrapper would bypass the model's
            ``train_step``.
    """
    if cfg.get('launcher', 'none') == 'none' or cfg.get('strategy'):
        return
    given: Any = cfg.get('model_wrapper_cfg')
    wrapper = wrapper_for(cfg, given, 'model_wrapper_cfg')
    if wrapper != given:
        cfg.model_wrapper_cfg = wrapper
        print_log(f'model_wrapper_cfg: {wrapper}', logger='current')


def wrapper_for(cfg: Config, given: Any, key: str) -> Any:
    """Return the wrapper that a model needs.

    Args:
        cfg (Config): The config.
        given (dict, optional): What it has.
        key (str): Where it has it, for messages.

    Returns:
        dict or None: ``given`` itself where it will do.

    Raises:
        UsageError: If ``given`` would bypass the model's ``train_step``.
    """
    overrides = overrides_train_step(cfg)
    if given is None and not overrides and get_device() != 'cpu':
        return None  # the Runner's own choice is right
    wrapper = _default(overrides, cfg) if given is None else dict(given)
    kind = wrapper.get('type', 'MMDistributedDataParallel')
    wrapper_class = _class_of(kind, MODEL_WRAPPERS, cfg)
    if wrapper_class is None:
        return given  # the Runner says what there is
    if wrapper_class is MMSeparateDistributedDataParallel:
        wrapper['type'] = SEPARATE
    elif overrides and _bypasses(wrapper_class):
        raise UsageError(
            f'{key}: {wrapper_class.__name__} would not run the '
            f'train_step of {cfg.model.type}, which overrides it; give '
            f'{key}=dict(type={SEPARATE!r}), or leave it out'
        )
    elif wrapper_class is _class_of(SEPARATE, MODEL_WRAPPERS, cfg):
        # The Runner does not look where the default scope does.
        wrapper['type'] = SEPARATE
    elif get_device() == 'cpu' and _asks_for_a_gpu(wrapper_class):
        wrapper.setdefault('device_ids', None)
    return wrapper


def _class_of(kind: Any, registry: Registry, cfg: Config) -> Any:
    """Return the class that a config names, as the Runner would find it."""
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(
        cfg.get('default_scope')
    ) as scoped:
        return scoped.get(kind)


def overrides_train_step(cfg: Config) -> bool:
    """Tell whether the config's model has a ``train_step`` of its own."""
    model: Any = cfg.get('model')
    kind = model.get('type') if hasattr(model, 'get') else None
    model_class = _class_of(kind, MODELS, cfg)
    train_step = getattr(model_class, 'train_step', BaseModel.train_step)
    return train_step is not BaseModel.train_step


def _default(overrides: bool, cfg: Config) -> dict[str, Any]:
    """Return what the Runner should take, with the Runner's settings."""
    return dict(
        type=SEPARATE if overrides else 'MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )


def _bypasses(wrapper: Any) -> bool:
    """Tell whether a wrapper has not the model's ``train_step`` run."""
    # MMEngine's FSDP inherits nothing from its DDP, but does the same.
    return getattr(wrapper, 'train_step', None) in (
        None,
        MMDistributedDataParallel.train_step,
        MMFullyShardedDataParallel.train_step,
    )


def _asks_for_a_gpu(wrapper: type) -> bool:
    """Tell whether the Runner gives it the number of a GPU, which it minds."""
    return issubclass(wrapper, DistributedDataParallel) and not issubclass(
        wrapper, MMSeparateDistributedDataParallel
    )
