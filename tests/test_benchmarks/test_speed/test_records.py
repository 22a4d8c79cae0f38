"""Of what is kept from one run of the benchmark to the next."""

from pathlib import Path

import pytest

from benchmarks.speed import measure as module
from benchmarks.speed.measure import Measured, measure
from benchmarks.speed.records import Records, Seen, Setting
from benchmarks.speed.variants import BY_HAND, FABRIC, MMAMP, Variant

OURS, THEIRS, PEER = (
    Variant('tiny', way, memory_format='channels_last')
    for way in (MMAMP, BY_HAND, FABRIC)
)
SETTING = Setting((OURS, THEIRS), rounds=2, iterations=20)
PIECE = {
    OURS: Seen((0.1, 0.2), 10, 30),
    THEIRS: Seen((0.1, 0.1), 0, 0),
}
ORIGIN = dict(device='CPU', mmamp='1.0')


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'folder' / 'found.jsonl'


def test_what_is_kept_is_what_was_seen(path):
    records = Records(path, ORIGIN)
    records.add(SETTING, PIECE)
    for found in (records, Records(path, ORIGIN)):
        assert found.find(SETTING, 6) == [PIECE]
        assert len(found.dates) == 1
    assert len(path.read_text().splitlines()) == 1


def test_no_more_than_asked_for(path):
    records = Records(path, ORIGIN)
    for _ in range(3):
        records.add(SETTING, PIECE)
    assert len(records.find(SETTING, 2)) == 2


@pytest.mark.parametrize(
    'other',
    [
        Setting(SETTING.variants, rounds=3, iterations=20),
        Setting(SETTING.variants, rounds=2, iterations=2),
        Setting(SETTING.variants, rounds=2, iterations=20, threads=1),
        Setting((*SETTING.variants, PEER), rounds=2, iterations=20),
    ],
)
def test_another_setting_is_not_known(path, other):
    records = Records(path, ORIGIN)
    records.add(SETTING, PIECE)
    assert records.find(other, 1) == []


def test_another_device_or_version_is_not_known(path):
    Records(path, ORIGIN).add(SETTING, PIECE)
    for key in ORIGIN:
        assert Records(path, {**ORIGIN, key: '2'}).find(SETTING, 1) == []


def test_with_more_variants_it_is_of_fewer_too(path):
    records = Records(path, ORIGIN)
    more = Setting((*SETTING.variants, PEER), rounds=2, iterations=20)
    records.add(more, {**PIECE, PEER: Seen((1.0, 1.0))})
    assert records.find(SETTING, 1) == [PIECE]


def test_a_line_that_was_cut_off_is_dropped(path):
    records = Records(path, ORIGIN)
    records.add(SETTING, PIECE)
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    again = Records(path, ORIGIN)
    again.add(SETTING, PIECE)
    assert len(Records(path, ORIGIN).find(SETTING, 6)) == 2


def test_what_is_forgotten_is_not_in_the_file(path):
    records = Records(path, ORIGIN)
    other = Setting((PEER,), rounds=2, iterations=20)
    records.add(SETTING, PIECE)
    records.add(other, {PEER: Seen((1.0, 1.0))})
    records.forget(SETTING)
    for found in (records, Records(path, ORIGIN)):
        assert found.find(SETTING, 1) == []
        assert len(found.find(other, 1)) == 1


def test_a_run_that_was_cut_off_goes_on(path, monkeypatch):
    measured: list[Path] = []

    def once(setting, work_dir):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(work_dir)
        return PIECE

    monkeypatch.setattr(module, '_measure_once', once)
    with pytest.raises(KeyboardInterrupt):
        measure(SETTING, 3, Records(path, ORIGIN), Path('a'))
    measured.pop()
    found = measure(SETTING, 3, Records(path, ORIGIN), Path('b'))
    assert measured == [Path('a/0'), Path('b/2')]
    assert found[OURS] == Measured(((0.1, 0.2),) * 3, (10,) * 3, (30,) * 3)
