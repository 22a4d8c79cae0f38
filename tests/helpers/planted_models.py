"""Models of the tests' configs: one overflows in float16, one is well."""

import torch
from mmengine.model import BaseModel
from torch import nn

from mmamp.registry import DATASETS, MODELS


class Times(nn.Module):
    """Multiplies, as a badly scaled layer does."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


@MODELS.register_module()
class PlantedDiscriminator(nn.Module):
    """Its ``large`` goes beyond what float16 holds, ``small`` comes back."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 4, 4)
        self.act = nn.LeakyReLU(0.2)
        self.large = Times(factor)
        self.small = Times(1 / factor)
        self.last = nn.Linear(32, 1)

    def forward(self, x):
        x = self.small(self.large(self.act(self.first(x))))
        return self.last(x.flatten(1))


@MODELS.register_module()
class PlantedGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.Tanh()
        )

    def forward(self, noise):
        return self.layers(noise).view(-1, 1, 8, 8)


@MODELS.register_module()
class TheirRegressor(BaseModel):
    """One optimizer, and MMEngine's own ``train_step``."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x, mode='tensor'):
        y = self.net(x)
        return dict(loss=((y - x.sum(1, keepdim=True)) ** 2).mean())


@DATASETS.register_module()
class TheirData(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        return dict(x=torch.linspace(0, 1, 4) * (index % 7))


@MODELS.register_module()
class FailsInLow(PlantedGenerator):
    def forward(self, noise):
        if torch.is_autocast_enabled(noise.device.type):
            raise MemoryError('no room for bfloat16')
        return super().forward(noise)
