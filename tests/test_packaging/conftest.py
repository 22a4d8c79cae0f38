"""Distributions of this tree, and environments to install them into."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import (
    PackageNotFoundError,
    distribution,
    distributions,
)
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


# Of the rest, PYTHONPATH would bring the checkout back.
KEPT = {k: v for k, v in os.environ.items() if k.startswith('PIP_')}
KEPT.update(PATH='/usr/bin:/bin', HOME=os.environ['HOME'], OMP_NUM_THREADS='1')


def run(*command, cwd=None):
    """Run a command away from this environment."""
    return subprocess.run(
        [str(x) for x in command],
        cwd=cwd,
        env=KEPT,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope='session')
def dists(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp('dists')
    tree = folder / 'tree'
    names = run('git', 'ls-files', '-co', '--exclude-standard', cwd=ROOT)
    for name in names.stdout.splitlines():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
    built = run(
        *(sys.executable, '-m', 'build', '--no-isolation'),
        *('--outdir', folder, tree),
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (sdist,) = folder.glob('*.tar.gz')
    (wheel,) = folder.glob('*.whl')
    return sdist, wheel


class Environment:
    """A virtual environment: empty, or with this one's torch."""

    def __init__(self, folder, torch=False):
        self.folder = folder
        self.python = folder / 'bin' / 'python'
        done = run(sys.executable, '-m', 'venv', folder)
        assert done.returncode == 0, done.stdout + done.stderr
        if torch:
            lend_torch(folder / 'torch')
            (self.site / 'torch.pth').write_text(str(folder / 'torch'))

    @property
    def site(self):
        (site,) = self.folder.glob('lib/python*/site-packages')
        return site

    def pip(self, *arguments):
        """Install from the registry."""
        done = run(
            *(self.python, '-m', 'pip', 'install', '-q', '--no-compile'),
            *arguments,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def installed(self):
        """The names of its distributions, a lent torch's apart."""
        found = distributions(path=[str(self.site)])
        return {x.metadata['Name'].lower() for x in found}

    def run(self, *arguments, cwd):
        """Run its Python, away from any checkout."""
        return run(self.python, *arguments, cwd=cwd)


def lend_torch(folder):
    """Links to torch and to all that it requires."""
    folder.mkdir()
    names, seen = ['torch'], {'setuptools'}
    while names:
        name = names.pop()
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            continue
        if name in seen:
            continue
        seen.add(name)
        site = Path(dist.locate_file(''))
        for top in {Path(file).parts[0] for file in dist.files}:
            if top not in ('..', '__pycache__'):
                (folder / top).symlink_to(site / top)
        for text in dist.requires or ():
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({'extra': ''}):
                names.append(need.name)


@pytest.fixture(scope='session')
def registry(tmp_path_factory):
    """Skip where it is not reached; a pin that it has not is a failure."""
    done = run(
        *(sys.executable, '-m', 'pip', 'download', '-q', '--no-deps'),
        *('--dest', tmp_path_factory.mktemp('download'), 'packaging'),
    )
    if done.returncode:
        pytest.skip(f'the registry is not reached: {done.stderr[-300:]}')


@pytest.fixture(scope='session')
def make_environment(tmp_path_factory):
    """A new virtual environment: ``make_environment(torch=False)``."""

    def make(torch=False):
        return Environment(tmp_path_factory.mktemp('new') / 'venv', torch)

    return make
