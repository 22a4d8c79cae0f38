"""Random numbers that a test gives."""

import torch

UNIFORM = (
    *('xflip', 'xflip?', 'rotate90', 'rotate90?', 'xint?', 'x', 'y'),
    *('scale?', 'before?', 'after?', 'before', 'after', 'aniso?', 'xfrac?'),
    *('brightness?', 'contrast?', 'lumaflip', 'lumaflip?', 'hue', 'hue?'),
    'saturation?',
)
NORMAL = (
    *('scale', 'aniso', 'fine_x', 'fine_y'),
    *('brightness', 'contrast', 'saturation'),
)
"""What ``ADA`` draws, in its order; a name with ``?`` says whether."""


class Given:
    """Gives columns of numbers one after the other, as SampleRandom draws.

    Args:
        uniform (Tensor): Of shape (N, K).
        normal (Tensor): Likewise.
    """

    def __init__(self, uniform, normal=None):
        self._uniform, self._normal, self._taken = uniform, normal, 0

    def uniform(self, num):
        first, self._taken = self._taken, self._taken + num
        return self._uniform[:, first : self._taken]

    def normal(self, num):
        assert num == self._normal.shape[1]
        return self._normal


def given(num, **values):
    """Make ADA transform by these alone, as if with probability 1/2."""
    uniform = torch.tensor([[0.9 * ('?' in x) for x in UNIFORM]] * num)
    normal = torch.zeros(num, len(NORMAL))
    for name, value in values.items():
        if name in UNIFORM:
            uniform[:, UNIFORM.index(name)] = torch.as_tensor(value)
        else:
            normal[:, NORMAL.index(name)] = torch.as_tensor(value)
        gates = dict(x='xint?', y='xint?', fine_x='xfrac?', fine_y='xfrac?')
        gate = gates.get(name, f'{name}?')
        uniform[:, UNIFORM.index(gate)] = 0.1
    return Given(uniform, normal)
