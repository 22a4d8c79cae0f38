"""Processes that meet before there is a process group."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from torch.distributed import HashStore

from mmamp.distributed import meeting as module
from mmamp.distributed.meeting import Meeting, meeting
from mmamp.errors import UsageError


def together(*mistakes):
    """What each process hears, where each has met a mistake or None."""
    store, size = HashStore(), len(mistakes)

    def one(rank):
        met = Meeting(store, rank, size)
        heard = met.mistakes(mistakes[rank])
        met.part()
        return heard

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))


def test_no_mistake():
    assert together(None, None, None) == [(0, '')] * 3


def test_one_mistake_is_heard_by_all():
    for number, text in together(None, None, 'no such file'):
        assert number == 1
        assert re.fullmatch(r'rank 2 on \S+: no such file', text)


def test_all_have_met_the_same():
    assert [number for number, _ in together('a', 'a')] == [2, 2]


def test_one_that_does_not_come(monkeypatch):
    monkeypatch.setattr(module, 'PATIENCE', 0.1)
    with pytest.raises(UsageError, match='only 1 of 2 processes have read'):
        Meeting(HashStore(), 0, 2).mistakes(None)


@pytest.mark.parametrize(
    ('rank', 'local_rank', 'speaks'),
    [(0, 0, True), (2, 0, True), (1, 1, False)],
)
def test_who_speaks(rank, local_rank, speaks, monkeypatch):
    """One for each machine, where each has its terminal."""
    monkeypatch.setenv('LOCAL_RANK', str(local_rank))
    assert Meeting(HashStore(), rank, 4).speaks == speaks


@pytest.mark.parametrize('launcher', ['none', 'pytorch', 'slurm', 'mpi'])
def test_nobody_to_meet(launcher, monkeypatch):
    for name in ('MASTER_ADDR', 'RANK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    for _ in range(2):  # commands of one process
        assert meeting(launcher).size == 1
        assert meeting(launcher).mistakes('a')[0] == 1
