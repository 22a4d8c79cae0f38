import numpy as np
import pytest
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch import nn

from mmamp.checkpoint.primitives import (
    history_from,
    history_to_primitives,
    to_primitives,
    without_wrapper,
)
from mmamp.compat.torch import versions_of


class TestPlain:
    def test_numpy_becomes_numbers_and_lists(self):
        class Text(str):
            pass

        value = to_primitives(
            dict(
                a=np.float32(1.5),
                b=np.arange(3),
                c=(np.int64(2), [None, True]),
                d={Text('x')},
                e=Text('y'),
            )
        )
        assert value == dict(
            a=1.5, b=[0, 1, 2], c=(2, [None, True]), d=['x'], e='y'
        )
        assert type(value['a']) is float
        assert type(value['e']) is str
        assert type(value['d'][0]) is str

    @pytest.mark.parametrize('value', [object(), [Runner], {'a': {1: len}}])
    def test_else_is_refused(self, value):
        with pytest.raises(TypeError):
            to_primitives(value)

    def test_history_there_and_back(self):
        buffer = HistoryBuffer([1.0, 2.0, 4.0], [1, 2, 1], max_length=3)
        again = history_from(history_to_primitives(buffer))
        for old, new in zip(buffer.data, again.data, strict=True):
            np.testing.assert_array_equal(old, new)
        assert again.max_length == 3
        assert again.mean() == buffer.mean()
        assert history_from(7) == 7


def test_versions_of_modules_lose_the_wrappers_name_too():
    """Without them torch would take BatchNorm's state for one of old."""
    net = nn.Sequential(nn.BatchNorm1d(2))
    wrapped = nn.ModuleDict(dict(module=net))
    own = without_wrapper(wrapped.state_dict())
    assert list(own) == list(net.state_dict())
    assert versions_of(own)['0'] == versions_of(net.state_dict())['0']
