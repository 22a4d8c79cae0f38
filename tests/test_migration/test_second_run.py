"""What a second run says of what the first has left."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmamp.migration.code import migrate_code
from mmamp.migration.config import migrate_configs
from mmamp.migration.findings import Outcome

TOOL = Path(__file__).parents[2] / 'tools/migrate.py'
LEFT = {
    'a hook': "optimizer = dict(type='SGD', lr=1)\n"
    "optimizer_config = dict(type='Mine')\n",
    'a long reason': "optimizer = dict(type='SGD', lr=1)\n"
    "lr_config = dict(policy='Wave')\n",
    'a list': 'import x\nevaluation = x.evaluation\ntotal_iters = 1\n',
}


def todo(result):
    return [x.reason for x in result.of(Outcome.TODO)]


@pytest.mark.parametrize('name', LEFT)
def test_marks_are_counted_as_often_as_it_runs(tmp_path, name):
    path = tmp_path / 'config.py'
    path.write_text(LEFT[name])
    (first,) = migrate_configs([path])
    assert len(todo(first)) == 1
    for _ in range(2):
        path.write_text(first.after)
        (again,) = migrate_configs([path])
        assert again.after == first.after
        assert todo(again) == todo(first)
        (mark,) = again.of(Outcome.TODO)
        assert mark.line > 0


def test_a_mark_without_what_it_speaks_of(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(
        'train_cfg = dict(by_epoch=False, max_iters=1)\n'
        '# TODO(mmamp migrate): this is\n#   of two lines\n# and another\n'
        "optim_wrapper = dict(type='OptimWrapper')\n"
        "text = '# TODO(mmamp migrate): no mark'\n"
    )
    (result,) = migrate_configs([path])
    assert todo(result) == ['this is of two lines']
    assert not result.is_changed


def test_a_clash_without_its_mark(tmp_path):
    for name in 'ab':
        (tmp_path / f'{name}.py').write_text('default_hooks = dict()\n')
    path = tmp_path / 'c.py'
    path.write_text("_base_ = ['a.py', 'b.py']\n")
    (result,) = migrate_configs([path])
    assert 'which MMEngine refuses' in todo(result)[0]


def test_marks_in_code():
    text = '# TODO(mmamp migrate): this\nx = 1\n'
    assert todo(migrate_code(text, Path('a.py'))) == ['this']


def test_the_exit_code(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(LEFT['a hook'])
    for _ in range(2):
        command = [sys.executable, TOOL, 'config', path, '--in-place']
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1
        assert 'the hook Mine' in done.stdout
