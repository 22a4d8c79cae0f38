"""What is printed is what is meant."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools/migrate.py'
DATA = 'data = dict(x=1)\nmodel = dict()\n'
HOOK = "custom_hooks = [dict(type='Mine[bold]:smile:')]\n"


@pytest.fixture
def run(tmp_path):
    def run(*args, columns='40'):
        command = [sys.executable, str(TOOL), *map(str, args)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={'COLUMNS': columns, 'LANG': 'C.UTF-8'},
        )

    return run


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / 'configs'
    folder.mkdir()
    for i in range(5):
        hook = f"optimizer_config = dict(type='{i % 2}Hook')\n"
        text = f"{DATA}{HOOK}optimizer = dict(type='SGD', lr=1)\n{hook}"
        (folder / f'{i}.py').write_text(text)
    return folder


def test_a_line_of_a_hundred(tmp_path, run):
    (tmp_path / 'a.py').write_text('\n' * 99 + DATA)
    done = run('config', 'a.py')
    assert 'a.py:100: outside: data loaders' in done.stderr
    assert '💯' not in done.stderr + done.stdout


def test_a_users_text_is_no_markup(tmp_path, run):
    (tmp_path / '[red]:smile:.py').write_text(HOOK + 'total_iters = 1\n')
    done = run('config', '[red]:smile:.py')
    assert '[red]:smile:.py:1: outside: Mine[bold]:smile:' in done.stderr


def test_nothing_is_wrapped_in_a_pipe(many, run):
    lines = run('config', many, columns='20').stdout.splitlines()
    assert max(map(len, lines)) > 100
    assert all(': ' in x or x.split() for x in lines)
    assert any(x.split() == ['all', '5'] for x in lines)


def test_the_same_of_many_files_is_said_once(many, run):
    lines = run('config', many).stdout.splitlines()
    (data,) = [x for x in lines if 'data loaders' in x]
    assert f'{many}/0.py:1: outside: ' in data
    assert data.endswith('[outside] (5 places)')
    todo = [x for x in lines if ': to do: ' in x]
    assert len(todo) == 5
    assert [x.endswith('(3 places)') for x in todo].count(True) == 1
    assert f'{many}/4.py:5: to do: the same' in todo


def test_json_has_all(many, run):
    done = run('config', many, '--json')
    assert done.returncode == 1
    assert done.stderr == ''
    found = json.loads(done.stdout)
    assert [Path(x['path']).name for x in found] == [
        f'{i}.py' for i in range(5)
    ]
    for x in found:
        assert x['is_changed']
        assert {y['outcome'] for y in x['findings']} >= {'to do', 'outside'}
        assert all(
            set(y) == {'line', 'rule', 'outcome', 'reason'}
            for y in x['findings']
        )
        assert x['verification'] is None


def test_json_has_what_was_verified(tmp_path, run):
    folder = tmp_path / 'configs'
    folder.mkdir()
    good = (
        "optimizer = dict(type='SGD', lr=0.1)\n"
        "runner = dict(type='IterBasedRunner', max_iters=10)\n"
    )
    lost = "momentum_config = dict(policy='OneCycle')\n"
    (folder / 'good.py').write_text(good)
    (folder / 'lost.py').write_text(good + lost)
    (folder / 'no.py').write_text("_base_ = './none.py'\n")
    done = run('config', folder, '--json', '--verify')
    assert done.returncode == 1
    found = {
        Path(x['path']).stem: x['verification']
        for x in json.loads(done.stdout)
    }
    assert all(
        set(x) == {'is_good', 'problem', 'notes', 'rows'}
        for x in found.values()
    )
    assert found['good']['is_good']
    assert not found['lost']['is_good']
    assert 'FileNotFoundError' in found['no']['problem']
    (row,) = [x for x in found['lost']['rows'] if x['differs']]
    assert row == {
        'network': '',
        'setting': 'schedule of the momentum',
        'before': 'OneCycle (not compared)',
        'after': 'constant',
        'differs': True,
    }


def test_comments_of_removed_statements_are_in_the_report(tmp_path, run):
    folder = tmp_path / 'configs'
    folder.mkdir()
    for i in range(3):
        comment = 'none of it' if i else 'only here'
        text = f"x = 1\n\n# {comment}\nworkflow = [('train', 1)]\n\ny = 1\n"
        (folder / f'{i}.py').write_text(text)
    lines = run('config', folder).stdout.splitlines()
    told = [x for x in lines if x.endswith('[comments] (2 places)')]
    assert told == [
        f'{folder}/1.py:4: changed: workflow is gone with its comment: '
        '# none of it [comments] (2 places)'
    ]
    assert sum('# only here' in x for x in lines) == 1
    assert len([x for x in lines if ': changed: ' in x]) == 2


def test_json_of_one_file(many, run):
    done = run('config', many / '0.py', '--json')
    (found,) = json.loads(done.stdout)
    assert found['path'].endswith('0.py')
    done = run('config', many / '0.py', '--json', '--diff')
    assert done.returncode == 2
    assert done.stderr.count('\n') == 1
