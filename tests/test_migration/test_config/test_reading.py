"""Configs are read without being run."""

from pathlib import Path

import pytest

from mmamp.migration.config.reading import read
from mmamp.migration.config.values import UNKNOWN


def values(text):
    return read(Path('config.py'), text).values


@pytest.mark.parametrize(
    ('expression', 'expected'),
    [
        ('dict(a=1, b=[x * 2 for x in range(3)])', dict(a=1, b=[0, 2, 4])),
        ("{'a': 0.5 ** (32. / 10)}", {'a': 0.5 ** (32.0 / 10)}),
        ("f'{3}-{4}'", '3-4'),
        ('dict(**dict(a=1), b=2)', dict(a=1, b=2)),
        ("'a,b'.split(',')", ['a', 'b']),
    ],
)
def test_what_needs_nothing_but_the_file(expression, expected):
    assert values(f'x = {expression}\n')['x'].plain == expected


@pytest.mark.parametrize(
    'expression',
    [
        "__import__('os').system('touch HERE')",
        '().__class__.__base__.__subclasses__()',
        "open('HERE', 'w')",
        '(x for x in [1]).gi_frame.f_back.f_globals',
        '(lambda: 1)()',
        'undefined',
    ],
)
def test_what_might_do_more_is_not_run(tmp_path, monkeypatch, expression):
    monkeypatch.chdir(tmp_path)
    assert values(f'x = {expression}\n')['x'].value is UNKNOWN
    assert not list(tmp_path.iterdir())
