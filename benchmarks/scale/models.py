"""The models: reference configs, and two as large as they were published."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

CONFIGS = Path(__file__).parents[2] / 'configs'
MODELS = {
    'DCGAN, 32': 'dcgan/dcgan_digits-32x32.py',
    'StyleGAN2, 32': 'stylegan2/stylegan2_digits-32x32.py',
    'BigGAN, 32': 'biggan/biggan_digits-32x32.py',
    'StyleGAN2, 1024': 'stylegan2/stylegan2_digits-32x32.py',
    'BigGAN, 128': 'biggan/biggan_digits-32x32.py',
}
"""Configs, by the name and the size of the pictures."""
LARGE: dict[str, dict[str, Any]] = {
    'StyleGAN2, 1024': dict(
        noise_size=512,
        generator=dict(
            noise_size=512,
            style_size=512,
            num_mapping_layers=8,
            channel_base=32768,
            channel_max=512,
        ),
        discriminator=dict(channel_base=32768, channel_max=512),
        # What they send, the small one shows.
        disc_regularizers=[],
        gen_regularizers=[],
    ),
    'BigGAN, 128': dict(
        noise_size=120,
        num_classes=1000,
        generator=dict(
            num_classes=1000,
            base_channels=96,
            noise_size=120,
            embedding_size=128,
            attention_size=64,
        ),
        discriminator=dict(
            num_classes=1000, base_channels=96, attention_size=64
        ),
    ),
}
"""What the papers' networks have otherwise. The pictures stay grey."""
PATIENCE = 60
"""Seconds that a plan of a checkpoint may take."""
BATCH = 2
"""Of a rank, and 1 of what is large: nothing here depends on it."""


def config_of(name: str, iters: int) -> Config:
    """Return a config that trains in float32 and saves nothing.

    Args:
        name (str): Of :data:`MODELS`.
        iters (int): How long.
    """
    cfg = Config.fromfile(str(CONFIGS / MODELS[name]))
    size = int(name.rpartition(' ')[2])
    if name in LARGE:
        for network in ('generator', 'discriminator'):
            cfg.model[network].image_size = size
        cfg.merge_from_dict(dict(model=LARGE[name]))
    cfg.merge_from_dict(
        dict(
            train_cfg=dict(max_iters=iters),
            train_dataloader=dict(batch_size=1 if name in LARGE else BATCH),
            randomness=dict(seed=0),
            env_cfg=dict(cudnn_benchmark=False),
            log_level='ERROR',
        )
    )
    cfg.train_dataloader.dataset.pipeline[0].scale = (size, size)
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        cfg[key] = None
    cfg.custom_hooks = []
    cfg.default_hooks.checkpoint = None
    for wrapper in cfg.optim_wrapper.values():
        if isinstance(wrapper, dict):
            wrapper.update(type='AmpOptimWrapper', dtype='float32')
            wrapper.pop('accumulative_counts', None)
            wrapper.pop('loss_scale', None)
    return cfg
