"""Of ``tools/benchmark.py`` as a whole."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.speed import main
from benchmarks.speed.command import MARKS, PAGES, parse_args
from benchmarks.speed.trainee import Trainee
from benchmarks.speed.variants import BY_HAND, Variant

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ('argv', 'said'),
    [
        (['--models', 'gan'], "'gan' .choose from '?dcgan'?, '?biggan"),
        (['--dtypes', 'int8'], "'int8' .choose from '?float32'?, '?bfloat16"),
        (['--rounds', '0'], "'0' is no whole number >= 1"),
        (['--starts', '0'], "'0' is no whole number >= 1"),
        (['--threads', 'two'], "'two' is no whole number >= 1"),
        (['--write'], '--write: there is no docs/en/benchmark.md in'),
    ],
)
def test_wrong_arguments(argv, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize(
    ('argv', 'dtypes'),
    [
        (['float32'], ['float32']),
        (['float16', 'float32', 'float16'], ['float32', 'float16']),
    ],
)
def test_float32_is_always_there_once(argv, dtypes):
    assert parse_args(['--dtypes', *argv]).dtypes == dtypes


def test_the_page_has_the_marks():
    page = (ROOT / PAGES[0]).read_text()
    assert [page.count(mark) for mark in MARKS] == [1, 1]


def test_a_process_that_fails_says_why(tmp_path):
    variant = Variant('tiny', BY_HAND, dtype='float3')
    trainee = Trainee(variant, tmp_path)
    # Dead before it is told to run, as when others had their turn.
    trainee._process.join()
    with pytest.raises(RuntimeError, match=r'failed:\n(.*\n)*.*float3'):
        trainee.run(1)


@pytest.mark.slow
def test_no_gross_regression(tmp_path):
    """What noise of a shared machine cannot explain."""
    process = subprocess.run(
        [
            *(sys.executable, 'tools/benchmark.py', '--quick'),
            *('--threads', '1', '--starts', '2'),
            *('--results', str(tmp_path / 'found.jsonl')),
        ],
        cwd=ROOT,
        env={**os.environ, 'COLUMNS': '160'},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    print(process.stdout)

    def first_number(what):
        (found,) = re.findall(rf'│ {what} *│ ([\d.]+)', process.stdout)
        return float(found)

    assert first_number('mmamp over by hand, float32') < 1.5
    assert first_number('mmamp over by hand, bfloat16') < 1.5
    assert first_number('the last of these over the first') < 1.5
    assert first_number('s of an epoch of 4 empty steps') < 1
