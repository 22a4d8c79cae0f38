"""`memory_format`: its names, and networks that keep it."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.overrides import TorchFunctionMode

from mmamp.registry import MODELS

BASE = Path(__file__).parents[3] / 'configs/_base_/models'
SMALL = sorted(x for x in BASE.glob('*.py') if '256' not in x.name)


class Layouts(TorchFunctionMode):
    """Notes in which format what enters and leaves convolutions is."""

    def __init__(self):
        super().__init__()
        self.before, self.after = [], []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        # A kernel of one weight is in both formats and brings neither.
        if func in (F.conv2d, F.conv_transpose2d) and args[1][0].numel() > 1:
            if args[0].shape[1] > 2:  # no grey images
                self.before.append(formats(args[0]))
            self.after.append(formats(result))
        return result


def formats(x):
    """The formats that a tensor is in; both, if it has one channel."""
    return {
        name
        for name in ('contiguous_format', 'channels_last')
        if x.is_contiguous(memory_format=getattr(torch, name))
    }


def prepared(model, cfg):
    """A batch as the model's data preprocessor gives it."""
    channels, size = cfg['generator'].get('in_channels', 1), 32
    if cfg['type'] in ('SRGAN', 'ESRGAN'):
        channels, size = 3, 24
    pixels = torch.zeros(4, channels, size, size, dtype=torch.uint8)
    return model.data_preprocessor(dict(inputs=pixels))['inputs']


def watch(cfg):
    """Run the networks of a model config once."""
    init_default_scope('mmamp')
    cfg = dict(cfg)
    if cfg['type'] == 'ESRGAN':
        # The same blocks, in seconds less.
        cfg['generator'] = dict(cfg['generator'], num_blocks=1)
    model = MODELS.build(cfg)
    images = prepared(model, cfg)
    labels = (torch.zeros(4, dtype=torch.long),) * ('num_classes' in cfg)
    given = (torch.randn(4, cfg.get('noise_size', 1)), *labels)
    if 'noise_size' not in cfg:
        given = (images,)
    with Layouts() as layouts:
        result = getattr(model, model.networks['generator'][0])(*given)
        disc = getattr(model, model.networks['discriminator'][0])
        if cfg['type'] == 'Pix2Pix':
            result = torch.cat([images, result], 1)
        disc(result, *labels)
    return layouts


@pytest.mark.parametrize('path', SMALL, ids=lambda path: path.stem)
class TestReferenceConfigs:
    def test_convolutions_work_in_channels_last(self, path):
        cfg = Config.fromfile(path).model
        assert cfg.memory_format == 'channels_last'
        layouts = watch(cfg)
        assert layouts.after
        assert all('channels_last' in x for x in layouts.after)
        if cfg.type != 'CycleGAN':  # torch's instance norm is contiguous
            assert all('channels_last' in x for x in layouts.before)

    def test_convolutions_work_contiguously_by_default(self, path):
        cfg = Config.fromfile(path).model
        del cfg['memory_format']
        layouts = watch(cfg)
        assert all('contiguous_format' in x for x in layouts.after)
