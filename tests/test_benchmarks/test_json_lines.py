import pytest

from benchmarks import json_lines


def test_a_line_that_was_cut_off_goes(tmp_path):
    path = tmp_path / 'lines.jsonl'
    json_lines.add(path, dict(a=1))
    with path.open('a') as file:
        file.write('{"a": 2')
    assert json_lines.read(path) == [dict(a=1)]
    json_lines.add(path, dict(a=3))
    assert json_lines.read(path) == [dict(a=1), dict(a=3)]


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        json_lines.read(tmp_path / 'lines.jsonl')
