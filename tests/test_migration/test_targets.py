"""Which files a command line names."""

from argparse import Namespace
from pathlib import Path

import pytest

from mmamp.migration.targets import find_targets


def asked(*paths, in_place=False, output=None):
    return Namespace(paths=list(paths), in_place=in_place, output=output)


def make(folder, number):
    for i in range(number):
        place = folder / f'part_{i % 3}'
        place.mkdir(parents=True, exist_ok=True)
        (place / f'{i}.py').write_text('a = 1\n')


def test_a_file_that_is_named_twice_counts_once(tmp_path):
    make(tmp_path, 4)
    found = find_targets(
        asked(tmp_path, tmp_path / 'part_0' / '..' / 'part_0' / '0.py')
    )
    assert len(found) == 4
    assert set(found.values()) == {None}


def test_each_file_is_looked_up_a_few_times(tmp_path, monkeypatch):
    """Whatever number of them there is: it took half of a run's time."""
    calls = []
    resolve = Path.resolve
    monkeypatch.setattr(
        Path,
        'resolve',
        lambda self, *args: calls.append(self) or resolve(self, *args),
    )
    for number in (50, 100):
        make(tmp_path / str(number), number)
        calls.clear()
        assert len(find_targets(asked(tmp_path / str(number)))) == number
        assert len(calls) < 5 * number


@pytest.mark.parametrize('in_place', [True, False])
def test_where_each_goes(in_place, tmp_path):
    make(tmp_path / 'in', 3)
    output = None if in_place else str(tmp_path / 'out')
    found = find_targets(
        asked(tmp_path / 'in', in_place=in_place, output=output)
    )
    for source, target in found.items():
        there = Path(output or tmp_path / 'in')
        assert target == there / source.relative_to(tmp_path / 'in')
