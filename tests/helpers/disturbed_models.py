"""Reference models, small, with values that they did not begin with."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseAveragedModel

from mmamp.models.base.standing_statistics import mark_own

BASES = Path(__file__).parents[2] / 'configs/_base_/models'


def disturb(model):
    """Change parameters, averages and statistics, each by other numbers.

    Not the vectors of spectral norm, which belong to the weights.
    """
    generator = torch.Generator().manual_seed(1)
    for name, value in model.state_dict().items():
        if value.is_floating_point() and name[-2:] not in ('_u', '_v'):
            shift = torch.rand(value.shape, generator=generator) - 0.5
            if name.endswith('running_var'):
                shift = shift.abs()
            value.add_(shift, alpha=0.2)
    for module in model.modules():
        if isinstance(module, BaseAveragedModel):
            mark_own(module)


def small_config(base, **model):
    """A reference config's model with few channels and an average."""
    cfg = Config.fromfile(BASES / f'{base}.py')
    cfg.default_scope = 'mmamp'
    cfg.model.update(ema_config=dict(momentum=0.01), **model)
    for network in (cfg.model.generator, cfg.model.discriminator):
        if 'channel_base' in network:
            network.update(channel_base=128, channel_max=16)
        else:
            # Self-attention needs eight.
            network.base_channels = 8 if 'attention_size' in network else 2
    if base.startswith(('cyclegan', 'srgan', 'esrgan')):
        cfg.model.generator.num_blocks = 1
    if base.startswith('esrgan'):
        cfg.model.generator.growth_channels = 2
    return cfg
