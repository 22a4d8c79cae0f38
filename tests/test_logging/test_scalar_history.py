import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.logging import HistoryBuffer

from mmamp.logging.scalar_history import ScalarHistory

numbers = st.one_of(
    st.integers(-1000, 1000), st.floats(-1e3, 1e3, width=32, allow_nan=False)
)


@given(
    st.lists(st.tuples(numbers, st.integers(1, 9), st.booleans()), min_size=1),
    st.integers(1, 30),
    st.integers(1, 40),
)
def test_says_what_mmengines_says(values, max_length, window):
    stock = HistoryBuffer(max_length=max_length)
    ours = ScalarHistory(max_length=max_length)
    for value, count, read_now in values:
        stock.update(value, count)
        ours.update(value, count)
        if read_now:
            assert ours.current() == stock.current()
    for a, b in zip(ours.data, stock.data, strict=True):
        assert a.tolist() == b.tolist()
    for name in ('mean', 'min', 'max'):
        assert ours.statistics(name, window) == stock.statistics(name, window)
        assert ours.statistics(name) == stock.statistics(name)


def test_whole_numbers_stay_whole():
    history = ScalarHistory()
    history.update(3)
    assert isinstance(history.current(), np.integer)
    history.update(0.5)
    assert history.data[0].tolist() == [3, 0.5]


def test_the_last_number_is_read_alone():
    history = ScalarHistory([1.0], [1])
    history.add(torch.tensor(2.0))
    history.update(3.0)
    assert history.current() == 3.0
    assert isinstance(history.current(), np.floating)
    assert len(history._pending) == 2
    history.add(torch.tensor(4.0))
    assert history.current() == 4.0
    assert not history._pending


def test_tensors_are_read_when_somebody_asks():
    history = ScalarHistory([1.0], [1])
    waiting = [torch.tensor(2.0), torch.tensor(3, dtype=torch.float64)]
    for value in waiting:
        history.add(value)
    waiting[0].fill_(20.0)  # would show, had it been read already
    assert history.data[0].tolist() == [1, 20, 3]
    assert history.mean(2) == 11.5


def test_few_tensors_wait():
    history = ScalarHistory()
    for _ in range(ScalarHistory.most_pending * 2 + 1):
        history.add(torch.zeros(()))
    assert len(history._pending) == 1


def test_goes_on_from_another_and_keeps_the_last():
    stock = HistoryBuffer(list(range(50)), [1] * 50)
    history = ScalarHistory.of(stock, 10)
    assert history.data[0].tolist() == list(range(40, 50))
    for value in range(50, 150):
        history.update(value)
        assert len(history.data[0]) == 10
    assert history.data[0].tolist() == list(range(140, 150))
    assert len(history._values) < 50


def test_pickled_as_what_mmengine_knows():
    history = ScalarHistory([1.0, 2.0], [1, 3], max_length=7)
    copy = pickle.loads(pickle.dumps(history))
    assert type(copy) is HistoryBuffer
    assert copy.mean() == history.mean() == 0.75
    assert copy.max_length == 7


def test_refuses_what_is_no_number():
    with pytest.raises(TypeError, match="'a'"):
        ScalarHistory().update('a')
