import time

import pytest
import torch
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import DataLoader

from mmamp.datasets import SeededSampler
from mmamp.engine.loops.endless_batches import EndlessBatches


class Numbers:
    def __init__(self, length=5):
        self.length = length
        self.loaded = []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.loaded.append(int(index))
        return torch.tensor(int(index))


def loader(length=5, **kwargs):
    data = Numbers(length)
    sampler = SeededSampler(
        dict(type='mmengine.DefaultSampler', shuffle=True), data, seed=3
    )
    return DataLoader(data, 2, sampler=sampler, **kwargs)


def take(batches, num):
    return [next(batches).tolist() for _ in range(num)]


@pytest.mark.parametrize('num_workers', [0, 1])
def test_is_mmengines_without_its_sleep(num_workers, monkeypatch, mm_log):
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)
    stock = take(_InfiniteDataloaderIterator(loader()), 8)
    monkeypatch.setattr(time, 'sleep', lambda seconds: pytest.fail('slept'))
    assert take(EndlessBatches(loader(num_workers=num_workers)), 8) == stock
    assert stock[:3] != stock[3:6]
    assert mm_log().count('begins again') == 1


def test_begins_at_an_epoch():
    whole = take(EndlessBatches(loader()), 9)
    assert take(EndlessBatches(loader(), 2), 3) == whole[6:]


def test_batch_sampler():
    inner = torch.utils.data.BatchSampler(
        loader().sampler, batch_size=2, drop_last=False
    )
    batched = DataLoader(Numbers(), batch_sampler=inner)
    assert take(EndlessBatches(batched), 8) == take(
        EndlessBatches(loader()), 8
    )


def test_no_batch_at_all():
    empty = EndlessBatches(loader(1, drop_last=True))
    with pytest.raises(ValueError, match=r'1 samples.*batches are of 2'):
        next(empty)
