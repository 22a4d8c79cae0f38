"""Objects that load with ``weights_only=True``, and are as they were."""

import enum
import io
from collections import OrderedDict, defaultdict, deque

import numpy as np
import pytest
import torch
from torch import nn

from mmamp.checkpoint.objects import Encoder, decoded, on_device

HERE = __name__.partition('.')[0]


class Kind(enum.Enum):
    LEFT = 1
    RIGHT = 'r'


class Projector:
    """What an optimizer may keep of each parameter."""

    def __init__(self, rank):
        raise AssertionError('nothing is called')


class Pickled:
    def __setstate__(self, state):
        raise AssertionError('nothing is called')


class Halves(torch.Tensor):
    """A tensor of two, as quantised states are."""

    @staticmethod
    def __new__(cls, low, high):
        return torch.Tensor._make_wrapper_subclass(
            cls, low.shape, dtype=torch.float32
        )

    def __init__(self, low, high):
        self.low, self.high = low, high

    def __tensor_flatten__(self):
        return ['low', 'high'], [Kind.LEFT]

    @classmethod
    def __tensor_unflatten__(cls, inner, context, size, stride):
        assert context == [Kind.LEFT]
        return cls(**inner)

    __torch_dispatch__ = None


def projector():
    made = object.__new__(Projector)
    made.rank, made.kind = 4, Kind.RIGHT
    made.matrix = torch.ones(2, 2)
    made.history = deque([torch.zeros(1)], maxlen=2)
    return made


def through_a_file(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def there_and_back(value):
    encoder = Encoder([HERE])
    plain = encoder(value, 'state')
    assert not encoder.lost
    return decoded(through_a_file(plain), [HERE])


@pytest.mark.parametrize(
    'value',
    [
        *(True, 3, 0.5, 1j, 'text', b'bytes', None),
        *(torch.float16, torch.device('cpu'), torch.Size([1, 2])),
        *([1, (2, 'b')], {'a': {1: 2}}, {(0, 1): 3}),
        *(OrderedDict(b=1, a=2), defaultdict(dict, a={1: 2})),
        *({1, 2}, frozenset('ab')),
        deque([1, 2, 3], maxlen=3),
        deque(['a']),
        *(Kind.LEFT, Kind.RIGHT),
        torch.ones(2, dtype=torch.bfloat16),
        nn.Parameter(torch.ones(2)),
    ],
)
def test_comes_back(value):
    found = there_and_back(value)
    if isinstance(value, torch.Tensor):
        assert torch.equal(found, value)
        assert found.dtype == value.dtype
    else:
        assert found == value
        assert type(found) is type(value)
    if isinstance(value, deque):
        assert found.maxlen == value.maxlen


def test_numbers_and_arrays_of_numpy():
    assert there_and_back(np.float64(0.5)) == 0.5
    found = there_and_back(np.arange(3))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [0, 1, 2]


def test_a_generator_goes_on():
    generator = torch.Generator().manual_seed(3)
    torch.rand(2, generator=generator)
    found = there_and_back(generator)
    assert torch.equal(
        torch.rand(2, generator=found), torch.rand(2, generator=generator)
    )


def test_an_object():
    found = there_and_back(dict(projector=projector()))['projector']
    assert type(found) is Projector
    assert (found.rank, found.kind) == (4, Kind.RIGHT)
    assert torch.equal(found.matrix, torch.ones(2, 2))
    assert found.history.maxlen == 2


def test_a_tensor_of_tensors():
    found = there_and_back(Halves(torch.ones(3), torch.zeros(3)))
    assert type(found) is Halves
    assert torch.equal(found.low, torch.ones(3))


def test_what_cannot_is_left_out_and_told():
    local = type('Local', (), {})
    encoder = Encoder([HERE])
    plain = encoder(
        dict(
            kept=1,
            function=print,
            made=defaultdict(lambda: 0),
            listed=[2, lambda: 0],
            pickled=Pickled(),
            local=local(),
        ),
        'state',
    )
    assert through_a_file(plain) == dict(kept=1, listed=[2, None])
    assert set(encoder.lost) == {
        "state['function']",
        "state['made']",
        "state['listed'][1]",
        "state['pickled']",
        "state['local']",
    }
    assert encoder.lost["state['pickled']"].endswith('.Pickled')


def test_classes_of_other_packages_are_not_made():
    encoder = Encoder([])
    assert encoder(projector(), 'state') is None
    assert encoder.lost
    plain = Encoder([HERE])(projector(), 'state')
    with pytest.raises(ValueError, match=r'Projector.*not found in other'):
        decoded(plain, ['other'])
    plain['class'] = 'fractions:Fraction'
    with pytest.raises(ValueError, match=r'fractions.Fraction.*not found'):
        decoded(plain, [HERE])


def test_on_device():
    found = on_device(
        [defaultdict(list, a=projector()), deque([1], 2)],
        torch.device('meta'),
    )
    assert found[0]['b'] == []
    assert found[0]['a'].matrix.device.type == 'meta'
    assert found[0]['a'].history[0].device.type == 'meta'
    assert found[1].maxlen == 2


def test_parameters_are_those_of_the_reader():
    one, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.zeros(2))
    value = {
        'by parameter': {one: 1, other: [other]},
        'by id': {id(other): 'x', 'plain': 1},
    }
    encoder = Encoder([], params=[one, other])
    plain = through_a_file(encoder(value, 'state'))
    assert not encoder.lost
    mine = [nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))]
    found = decoded(plain, [], mine)
    assert found['by parameter'] == {mine[0]: 1, mine[1]: [mine[1]]}
    assert found['by id'] == {id(mine[1]): 'x', 'plain': 1}


def test_what_holds_itself_is_lost_there():
    value = [1]
    value.append(value)
    encoder = Encoder([])
    assert encoder(dict(value=value), 'state') == dict(value=[1, None])
    assert list(encoder.lost) == ["state['value'][1]"]
