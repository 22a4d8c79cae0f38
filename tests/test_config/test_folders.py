"""Paths in a folder, and in another one instead."""

import pytest

from mmamp.config.folders import is_in, moved


@pytest.mark.parametrize(
    ('path', 'folder', 'expected'),
    [
        ('data', 'data', True),
        ('data', 'data/', True),
        ('data/', './data', True),
        ('data/a/b.json', 'data/a', True),
        ('database', 'data', False),
        ('/data/a', 'data', False),
        ('data', '.', False),
        ('data', '', False),
        ('/data', '/', False),
        ('', '', False),
        ('../data/a', '..', False),
        ('../data/a', '../data/', True),
        ('data/../secret', 'data', False),
    ],
)
def test_is_in(path, folder, expected):
    assert is_in(path, folder) is expected


def test_moved():
    assert moved('data/a/b.json', 'data/', '/other') == '/other/a/b.json'
    assert moved('data/a', 'data', 's3://other') == 's3://other/a'
    assert moved('data/', 'data', 's3://other/') == 's3://other/'
