"""Several processes do what one does."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.migration.tree import make_tree
from mmamp.migration.findings import Outcome
from mmamp.migration.parallel import InProcesses, split
from mmamp.migration.project import Project
from mmamp.migration.together import Conversion

TOOL = Path(__file__).parents[2] / 'tools/migrate.py'
RUNTIME = (
    "log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])\n"
)
SCHEDULE = (
    "optimizer = dict(type='SGD', lr=1)\ncheckpoint_config = dict(interval=1)\n"
    "runner = dict(type='EpochBasedRunner', max_epochs=1)\n"
)
NET = (
    "_base_ = ['../_base_/{}.py', '../_base_/runtime.py']\n"
    "model = dict(type='Net')\n"
)
CODE = (
    'class Net(Base):\n    def train_step(self, data, optimizer):\n'
    "        loss = self(data)\n        optimizer['a'].zero_grad()\n"
    "        loss.backward()\n        optimizer['a'].step()\n"
    '        return dict(log_vars={}, num_samples=1)\n'
)


@pytest.fixture
def folder(tmp_path):
    """A tree whose bases clash, with a module and what cannot be read."""
    root = tmp_path / 'configs'
    make_tree(root, 40)
    (root / '_base_/runtime.py').write_text(RUNTIME)
    for name in ('short', 'long'):
        (root / f'_base_/{name}.py').write_text(SCHEDULE)
        (root / name).mkdir()
        for i in range(6):
            (root / name / f'{i}.py').write_text(NET.format(name))
    (root / 'broken.py').write_text('optimizer = (\n')
    (root / 'net.py').write_text(CODE)
    return root


@pytest.mark.parametrize('kind', ['configs', 'codes', 'project'])
@pytest.mark.parametrize('jobs', [2, 3, 100])
def test_the_result_is_the_same(folder, kind, jobs):
    paths = sorted(folder.rglob('*.py'))
    one = getattr(Conversion(), kind)(paths, Project())
    several = getattr(InProcesses(jobs), kind)(paths, Project())
    assert several == one
    assert sum(bool(x.unreadable) for x in one) == 1
    if kind == 'configs':
        text = {x.path.name: x.after for x in one}
        assert 'default_hooks' not in text['runtime.py']
        assert 'logger' in text['short.py']
        assert not any(x.of(Outcome.TODO) for x in one)


@pytest.mark.parametrize('number', [1, 2, 5, 50])
def test_parts_are_of_much_the_same_size(folder, number):
    paths = sorted(folder.rglob('*.py'))
    parts = split(paths, number)
    assert [x for y in parts for x in y] == paths
    assert len(parts) <= number
    if number == 2:
        sizes = [sum(x.stat().st_size for x in y) for y in parts]
        assert max(sizes) < 0.6 * sum(sizes)
    assert split([], number) == []


def test_the_command(folder):
    outputs = []
    for jobs in ('1', '2'):
        command = [sys.executable, TOOL, 'config', folder, '-j', jobs]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize('jobs', ['0', 'x', '-1'])
def test_a_number_that_is_none(folder, jobs):
    command = [sys.executable, TOOL, 'config', folder, f'-j={jobs}']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert 'no number from 1 on' in done.stderr
