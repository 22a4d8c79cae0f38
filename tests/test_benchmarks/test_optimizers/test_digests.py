"""Of ``benchmarks.optimizers.digests``."""

import collections

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from benchmarks.optimizers.digests import (
    digest,
    digests,
    num_bytes,
    optimizers_of,
    sizes,
)


def trained(**state):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for param in model.parameters():
        optimizer.state[param].update(state)
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    return OptimWrapper(optimizer), model


class Projector:
    def __init__(self, value):
        self.rank, self.matrix = 2, torch.full((2,), value)


def test_the_same_bits_alone():
    zero = torch.tensor([0.0])
    assert digest(zero) == digest(torch.tensor([0.0]))
    assert digest(zero) != digest(-zero)
    assert digest(zero) != digest(zero.double())
    assert digest(torch.tensor(float('nan'))) == digest(
        torch.tensor(float('nan'))
    )


def test_objects_are_looked_into():
    def found(value):
        last = collections.deque([torch.ones(1), value])
        return digests(*trained(last=last, projector=Projector(value)))

    one, other = found(1.0), found(2.0)
    assert one == found(1.0)
    assert {key for key in one if one[key] != other[key]} == {
        f'{name}.{key}'
        for name in ('weight', 'bias')
        for key in ('last.1', 'projector.matrix')
    }


def test_optimizers_inside_of_others():
    wrapper, model = trained()
    inner = torch.optim.AdamW(model.parameters())
    wrapper.optimizer.base_optimizer = inner
    inner.own = wrapper.optimizer
    found = optimizers_of(OptimWrapperDict(one=wrapper))
    assert found == {'one': wrapper.optimizer, 'one.base_optimizer': inner}


def test_sizes_and_bytes():
    wrapper, model = trained(last=[torch.ones(3), torch.ones(1)])
    found = sizes(wrapper, model)
    assert found['last'] == 8**0.5
    assert set(found) == {'last', 'momentum_buffer'}
    # Two parameters have these very tensors.
    assert num_bytes(wrapper, model) == 4 * (6 + 2 + 3 + 1)
