import io
import pickle
from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from mmamp.precision.predictions import in_float32

LOW = [torch.bfloat16, torch.float16]
Pair = namedtuple('Pair', 'image label')


@dataclass
class Output:
    scores: torch.Tensor
    label: int = 3
    length: int = field(init=False, default=1)


class Boxes:
    """As mmdet's: no tensor, but with a dtype and `to`."""

    def __init__(self, tensor):
        self.tensor = tensor
        self.dtype = tensor.dtype

    def to(self, dtype):
        return Boxes(self.tensor.to(dtype))


def tensors(found):
    """All tensors of a nest, by its pickle: nothing stays out of sight."""
    seen = []

    class Look(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, torch.Tensor):
                seen.append(value)
                return len(seen)
            return None

    Look(io.BytesIO()).dump(found)
    return seen


def instances(low):
    element = BaseDataElement(metainfo=dict(scale=low, name='a'))
    element.pred = InstanceData(scores=low, labels=torch.arange(2))
    element.map = PixelData(data=low[None, None].expand(1, 2, 2).clone())
    element.parts = dict(a=[low])
    return element


NESTS = {
    'tensor': lambda low: low,
    'list': lambda low: [low, 'text', None],
    'tuple': lambda low: (low, 1),
    'named tuple': lambda low: Pair(low, 1),
    'dict': lambda low: dict(pred=low, more=dict(a=[low])),
    'ordered': lambda low: OrderedDict(pred=low),
    'default': lambda low: defaultdict(list, pred=[low]),
    'user dict': lambda low: UserDict(pred=low),
    'dataclass': lambda low: Output(low),
    'boxes': lambda low: [Boxes(low)],
    'element': instances,
    'elements': lambda low: [instances(low), instances(low)],
}


@pytest.mark.parametrize('dtype', LOW)
@pytest.mark.parametrize('name', NESTS)
def test_what_is_low_is_in_float32(name, dtype):
    low = torch.tensor([0.5, 1.5], dtype=dtype)
    given = NESTS[name](low)
    found = in_float32(given)
    assert type(found) is type(given)
    floats = [x for x in tensors(found) if x.is_floating_point()]
    assert floats
    for value in floats:
        assert value.dtype is torch.float32
        assert set(value.flatten().tolist()) <= {0.5, 1.5}
    assert low.dtype is dtype


@pytest.mark.parametrize('name', NESTS)
def test_what_is_not_low_is_the_same_object(name):
    given = NESTS[name](torch.ones(2))
    before = tensors(given)
    assert in_float32(given) is given
    for a, b in zip(tensors(given), before, strict=True):
        assert a is b


def test_an_element_is_changed_in_place():
    """Toolboxes write predictions into the samples of the batch."""
    given = instances(torch.ones(2, dtype=torch.bfloat16))
    pred = given.pred
    assert in_float32([given])[0] is given
    assert given.pred is pred
    assert pred.scores.dtype is torch.float32
    assert given.metainfo['scale'].dtype is torch.float32
    assert 'scale' not in given.keys()  # noqa: SIM118


def test_a_models_own_containers_are_left_as_they_are():
    kept = dict(features=[torch.ones(1, dtype=torch.bfloat16)])
    found = in_float32(kept)
    assert found['features'][0].dtype is torch.float32
    assert kept['features'][0].dtype is torch.bfloat16


@pytest.mark.parametrize(
    'value',
    [
        np.ones(2, np.float16),
        torch.ones(2, dtype=torch.float64),
        torch.ones(2, dtype=torch.int8),
        'text',
        None,
        torch.bfloat16,
        Output,
    ],
    ids=str,
)
def test_other_values(value):
    assert in_float32(value) is value
