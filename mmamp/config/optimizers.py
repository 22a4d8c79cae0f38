"""What a config says of its optimizers, precision apart."""

from mmengine.config import Config

from mmamp.errors import UsageError


def enable_auto_scale_lr(cfg: Config) -> None:
    """Switch on the learning-rate scaling that the config prepares.

    Args:
        cfg (Config): The config, changed in place.

    Raises:
        UsageError: If it has no ``auto_scale_lr.base_batch_size``.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UsageError(
            '--auto-scale-lr: the config has no '
            'auto_scale_lr=dict(base_batch_size=...), the batch size that '
            'its learning rate is meant for'
        )
    cfg.auto_scale_lr.enable = True


def check_constructor(cfg: Config) -> None:
    """Refuse several optimizers that nothing would build.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If there is an entry for each network, but no constructor.
    """
    wrapper = cfg.get('optim_wrapper')
    if not isinstance(wrapper, dict) or 'constructor' in wrapper:
        return
    entries = [
        name
        for name, entry in wrapper.items()
        if isinstance(entry, dict) and 'optimizer' in entry
    ]
    if entries and 'optimizer' not in wrapper:
        raise UsageError(
            f'optim_wrapper has an entry for {" and ".join(entries)}, but no '
            'constructor that builds one optimizer for each: add '
            "constructor='mmamp.OptimWrapperConstructor'"
        )
