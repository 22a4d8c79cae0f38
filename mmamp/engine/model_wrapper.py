"""The model wrapper that a model needs in several processes."""

from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.model import (
    BaseModel,
    MMDistributedDataParallel,
    MMSeparateDistributedDataParallel,
)
from mmengine.registry import MODEL_WRAPPERS, MODELS, Registry
from torch.nn.parallel import DistributedDataParallel

from mmamp.config.launch import UsageError

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
    if cfg.get('launcher', 'none') == 'none':
        return
    wrapper: Any = cfg.get('model_wrapper_cfg')
    own_train_step = _has_own_train_step(cfg)
    if wrapper is None:
        chosen = _default(own_train_step, cfg)
    else:
        chosen = _corrected(wrapper, own_train_step, cfg)
    if chosen is not None:
        cfg.model_wrapper_cfg = chosen
        print_log(f'model_wrapper_cfg: {chosen}', logger='current')


def _class_of(kind: Any, registry: Registry, cfg: Config) -> Any:
    """The class that a config names, as the Runner would find it."""
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(
        cfg.get('default_scope')
    ) as scoped:
        return scoped.get(kind)


def _has_own_train_step(cfg: Config) -> bool:
    model: Any = cfg.get('model')
    kind = model.get('type') if hasattr(model, 'get') else None
    model_class = _class_of(kind, MODELS, cfg)
    train_step = getattr(model_class, 'train_step', BaseModel.train_step)
    return train_step is not BaseModel.train_step


def _default(own_train_step: bool, cfg: Config) -> dict | None:
    """What the Runner would do, or should."""
    settings = dict(
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    if own_train_step:
        return dict(type=SEPARATE, **settings)
    if get_device() == 'cpu':
        return dict(
            type='MMDistributedDataParallel', device_ids=None, **settings
        )
    return None


def _corrected(
    wrapper: dict, own_train_step: bool, cfg: Config
) -> dict | None:
    """The user's wrapper, if something has to be changed in it."""
    kind = wrapper.get('type', 'MMDistributedDataParallel')
    found = _class_of(kind, MODEL_WRAPPERS, cfg)
    if found is None:
        return None  # the Runner says what there is
    if found is MMSeparateDistributedDataParallel:
        return dict(wrapper, type=SEPARATE)
    if own_train_step and _bypasses(found):
        raise UsageError(
            f'model_wrapper_cfg: {found.__name__} would not run the '
            f'train_step of {cfg.model.type}, which overrides it; give '
            f'model_wrapper_cfg=dict(type={SEPARATE!r}), or leave it out'
        )
    if (
        get_device() == 'cpu'
        and issubclass(found, DistributedDataParallel)
        and not issubclass(found, MMSeparateDistributedDataParallel)
        and 'device_ids' not in wrapper
    ):
        return dict(wrapper, device_ids=None)
    return None


def _bypasses(wrapper: type) -> bool:
    """Whether a wrapper has not the model's ``train_step`` run."""
    train_step = getattr(wrapper, 'train_step', None)
    return train_step is None or (
        # MMEngine's FSDP inherits nothing from its DDP, but does the same.
        train_step is MMDistributedDataParallel.train_step
        or wrapper.__name__ == 'MMFullyShardedDataParallel'
    )
