"""Of Fabric and Accelerate beside mmamp, with and without them."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from benchmarks.speed import command, main
from benchmarks.speed import peers as module
from benchmarks.speed.peers import PACKAGES, installed
from benchmarks.speed.variants import ACCELERATE, FABRIC

ROOT = Path(__file__).parents[3]
TOLD = "benchmarks.speed: {} is not installed: pip install -e '.[peers]'\n"


@pytest.fixture
def none_installed(monkeypatch):
    monkeypatch.setattr(module, 'find_spec', lambda name: None)


def test_without_any_there_is_nothing_to_compare(
    none_installed, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(['--quick', '--peers']) == 2
    told = capsys.readouterr().err
    assert told == TOLD.format(FABRIC) + TOLD.format(ACCELERATE)
    assert not list(tmp_path.iterdir())


def test_with_one_of_them_it_is_compared_with_that(
    capsys, tmp_path, monkeypatch
):
    asked = []
    monkeypatch.setattr(command, 'installed', lambda: {FABRIC: '1.0'})
    monkeypatch.setattr(
        command, '_tables', lambda args, _: asked.extend(args.peers) or []
    )
    results = str(tmp_path / 'found.jsonl')
    assert main(['--quick', '--peers', '--results', results]) == 0
    assert capsys.readouterr().err == TOLD.format(ACCELERATE)
    assert asked == [FABRIC]


def test_nobody_who_does_not_ask_is_told(none_installed, capsys, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, '_tables', lambda *_: [])
        assert main(['--results', str(tmp_path / 'found.jsonl')]) == 0
    assert capsys.readouterr().err == ''


def test_the_extra_has_what_is_compared():
    lines = (ROOT / 'requirements' / 'peers.txt').read_text().splitlines()
    pinned = {x.partition('==')[0] for x in lines if not x.startswith('#')}
    assert pinned == set(PACKAGES.values())
    assert installed().keys() <= PACKAGES.keys()


@pytest.mark.slow
def test_once_installed_they_train(tmp_path):
    """In an environment of its own, which sees what this one has."""
    venv.create(tmp_path / 'venv', with_pip=True)
    (site,) = tmp_path.glob('venv/lib/python*/site-packages')
    here = [x for x in sys.path if x.endswith('site-packages')]
    (site / 'here.pth').write_text('\n'.join(here))
    python = tmp_path / 'venv' / 'bin' / 'python'

    def run(*arguments):
        done = subprocess.run(
            [python, '-m', *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run('pip', 'install', '-q', '-r', 'requirements/peers.txt')
    said = run('pytest', str(Path(__file__).with_name('test_loops.py')))
    assert ' passed' in said
    assert 'skipped' not in said
