"""Numbers of tensors that have none."""

import pytest
import torch

from mmamp.compat.torch import FakeTensorMode
from mmamp.plan.ledger import Ledger
from mmamp.plan.values import Values
from mmamp.plan.watch import NeedsValues, Watch


def watched(work):
    values = Values()
    watch = Watch(Ledger(), values)
    with FakeTensorMode(allow_non_fake_inputs=True), watch:
        return work(), watch


def test_small_tensors_have_their_numbers():
    def work():
        steps = torch.zeros((), dtype=torch.long)
        steps += 3
        half = torch.full((2,), 8.0) / 2
        return int(steps), float(half[1]), bool(steps == 3)

    assert watched(work)[0] == (3, 4.0, True)


def test_what_follows_from_large_ones_counts_as_one(monkeypatch):
    monkeypatch.setattr('mmamp.plan.watch.place', lambda: None)

    def work():
        norm = torch.empty(1000).norm()
        flags = torch.stack([norm.isfinite(), norm.isfinite()]).int()
        return int(2 * flags[0] + flags[1])

    assert watched(work)[0] == 3


def test_a_model_that_asks_for_such_is_told_where():
    with pytest.raises(NeedsValues) as raised:
        watched(lambda: bool(torch.empty(1000).sum() > 0))
    assert raised.value.place.startswith(f'{__file__}:')


def test_a_wait_is_told_where():
    _, watch = watched(lambda: int(torch.zeros(1, dtype=torch.long)))
    ((where, times),) = watch.waits.items()
    assert where.startswith(f'{__file__}:')
    assert times == 1
