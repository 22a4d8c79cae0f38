"""Of ``tools/optimizers.py`` as a whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.optimizers import main

ROOT = Path(__file__).parents[3]
SMALL = (
    *('adam-mini', 'came-pytorch', 'dadaptation', 'lion-pytorch'),
    *('madgrad', 'prodigyopt', 'schedulefree'),
)
"""Packages that need torch alone."""


@pytest.mark.parametrize(
    ('argv', 'said'),
    [
        (['--packages', 'fairseq'], "'fairseq'"),
        (['--dtypes', 'int8'], "'int8'"),
        (['--only', '('], "'('"),
        (['--write'], '--write: there is no docs/en/optimizers_list.md in'),
    ],
)
def test_wrong_arguments(argv, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2
    assert said in capsys.readouterr().err


@pytest.fixture
def found_by(tmp_path):
    """Run the tool beside the small packages; return what it found."""
    site, results = tmp_path / 'site', tmp_path / 'results.jsonl'
    pins = (ROOT / 'requirements/optimizers.txt').read_text().splitlines()
    subprocess.run(
        [
            *(sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps'),
            *('--target', str(site)),
            *(x for x in pins if x.partition('==')[0] in SMALL),
        ],
        check=True,
    )

    def run(*argv):
        done = subprocess.run(
            [
                *(sys.executable, str(ROOT / 'tools/optimizers.py')),
                *('--results', str(results), *argv),
            ],
            env=dict(os.environ, PYTHONPATH=str(site), OMP_NUM_THREADS='1'),
            capture_output=True,
            text=True,
        )
        print(done.stdout, done.stderr)
        return [*map(json.loads, results.read_text().splitlines())]

    return run


ASKED = (
    r'torch\.optim\.(ASGD|Ada[dfgm].*|Muon|NAdam|RAdam|RMSprop|Rprop|SGD)'
    r'|schedulefree\.(AdamW|SGD)ScheduleFree$|lion_pytorch|came_pytorch'
    r'|adam_mini|prodigyopt|dadaptation\.DAdapt(Adam|SGD)$|madgrad'
)


@pytest.mark.slow
def test_they_are_right(found_by):
    """The first word on each; the pages have the others."""
    argv = '--packages', 'torch', *SMALL, '--only', ASKED, '--jobs', '2'
    found = found_by(*argv)
    assert len({row['path'] for row in found}) >= 20
    assert not [row for row in found if row['verdict'] != 'right']
    # Nothing is tried again.
    assert found_by(*argv) == found
