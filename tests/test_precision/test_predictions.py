import io
import pickle
from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from torch import nn

from mmamp.precision.predictions import in_float32

LOW = [torch.bfloat16, torch.float16]
Pair = namedtuple('Pair', 'image label')


@dataclass
class Output:
    scores: torch.Tensor
    label: int = 3
    length: int = field(init=False, default=1)


@dataclass(frozen=True)
class Frozen:
    scores: torch.Tensor
    total: torch.Tensor = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, 'total', self.scores[:1])


class Plain:
    def __init__(self, scores, **more):
        self.__scores = scores
        self.dtype = scores.dtype
        vars(self).update(more)

    @property
    def scores(self):
        raise AssertionError('a property is asked')


class Slots:
    __slots__ = ('__scores', 'unset')

    def __init__(self, scores):
        self.__scores = scores

    def __setattr__(self, name, value):
        assert not hasattr(self, name)
        super().__setattr__(name, value)


class Both(Slots):
    def __init__(self, scores):
        super().__init__(scores)
        self.parts = [scores]


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
    'frozen': lambda low: Frozen(low),
    'plain': lambda low: [Plain(low)],
    'slots': lambda low: Slots(low),
    'slots and attributes': lambda low: Both(low),
    'namespace': lambda low: SimpleNamespace(parts=[Plain(low)]),
    'distribution': lambda low: torch.distributions.Normal(low, low),
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


def test_a_models_own_objects_are_left_as_they_are():
    low = torch.ones(1, dtype=torch.bfloat16)
    net = nn.Linear(1, 1, dtype=torch.bfloat16)
    net.dtype = torch.bfloat16
    kept = Plain(low, net=net)
    given = Plain(low, kept=kept, again=kept, count=3)
    found = in_float32(given)
    assert found is not given
    assert found.kept is found.again is not kept
    assert found.kept.net is net
    assert found.count == 3
    assert net.weight.dtype is torch.bfloat16
    for value in tensors(kept):
        assert value.dtype is torch.bfloat16


def test_objects_that_have_one_another():
    given = Plain(torch.ones(1, dtype=torch.bfloat16))
    given.part = Plain(torch.ones(1, dtype=torch.bfloat16), whole=given)
    found = in_float32([given])[0]
    assert found._Plain__scores.dtype is torch.float32
    assert found.part._Plain__scores.dtype is torch.float32
    same = Plain(torch.ones(1))
    same.same = same
    assert in_float32(same) is same
    for _ in range(2000):
        given = Plain(torch.ones(1), inside=given)
    assert in_float32(given) is given


class Single(Plain):
    def __copy__(self):
        return self


class Shared(Plain):
    def __copy__(self):
        new = object.__new__(type(self))
        new.__dict__ = self.__dict__
        return new


class Locked(Plain):
    def __reduce_ex__(self, protocol):
        raise TypeError('cannot pickle a lock')


@pytest.mark.parametrize('cls', [Single, Shared, Locked])
def test_objects_that_cannot_be_copied(cls):
    given = cls(torch.ones(1, dtype=torch.bfloat16))
    told = []
    assert in_float32(given, told.append) is given
    assert in_float32(given) is given
    assert told == [cls]
    assert given._Plain__scores.dtype is torch.bfloat16
    assert in_float32(cls(torch.ones(1)), told.append)
    assert told == [cls]


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
        torch,
        in_float32,
        nn.Linear(1, 1, dtype=torch.bfloat16),
        Config(dict(a=1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values(value):
    assert in_float32(value) is value
