"""A network whose gradient is known, and images for it."""

import torch
from torch import nn

REAL = torch.linspace(-1, 1, 3 * 4).reshape(3, 1, 2, 2)
FAKE = -REAL.roll(1)


class Quadratic(nn.Module):
    """Its gradient is known: 2 * a * x (plus the label)."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.5))

    def forward(self, x, labels=0):
        return (self.a * x.square()).flatten(1).sum(1) + labels * x.flatten(
            1
        ).sum(1)
