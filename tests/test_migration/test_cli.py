"""The migration's command line, in processes of its own."""

import difflib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmamp.migration.sources import read_source, write_source

TOOL = Path(__file__).parents[2] / 'tools/migrate.py'
OLD = """\
# One for each network.
optimizer = dict(
    generator=dict(type='Adam', lr=1e-4, betas=(0.0, 0.999)),
    discriminator=dict(type='Adam', lr=4e-4))
"""
LEFT = """\
import settings

optimizer = settings.optimizer
"""
"""What no rule can decide."""
CODE = """\
from mmcv.runner import force_fp32


class Net:
    @force_fp32()
    def forward(self, x):
        return x
"""
STARTUP = """\
import os, sys, time

blocked = os.environ.get('BLOCKED', '').split()

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in blocked:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, Blocker())

if 'SLOW_DISK' in os.environ:
    replace = os.replace

    def slow(*args):
        time.sleep(0.05)
        replace(*args)

    os.replace = slow
"""
"""Run by each process before all else."""


@pytest.fixture
def command(environment, tmp_path, python):
    """The words and the environment of a process, to be started.

    Those that are given variables begin with ``STARTUP``, in a new Python.
    """
    startup = tmp_path / 'startup'
    startup.mkdir()
    (startup / 'sitecustomize.py').write_text(STARTUP)
    folder = tmp_path / 'there'
    folder.mkdir()

    def make(*args, **variables):
        folders, interpreter = [], python
        if variables:
            folders, interpreter = [startup], sys.executable
        return dict(
            args=[interpreter, str(TOOL), *map(str, args)],
            env=environment(*folders, **variables),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    make.folder = folder
    return make


@pytest.fixture
def migrate(command):
    """``migrate('config', 'old.py')``: a process that has ended."""

    def run(*args, **variables):
        done = subprocess.run(**command(*args, **variables))
        done.text = done.stdout.decode()
        done.report = done.stderr.decode()
        assert 'Traceback' not in done.report, done.report
        return done

    return run


@pytest.fixture
def write(command):
    """``write('a/b.py', text)``: a file where the processes run."""

    def write(name, text=OLD):
        path = command.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline='')
        return path

    return write


def tree(folder):
    """All files of a folder, hidden ones too."""
    files = [x for x in folder.rglob('*') if x.is_file()]
    return {str(x.relative_to(folder)): x.read_bytes() for x in files}


def test_a_file_goes_to_stdout_and_its_report_to_stderr(migrate, write):
    old = write('old.py')

    done = migrate('config', 'old.py')

    assert done.returncode == 0
    assert 'optim_wrapper = dict(' in done.text
    assert 'generator=dict(optimizer=dict(type=' in done.text
    assert 'changed' not in done.text
    assert old.read_text() == OLD


def test_output_in_place_and_diff_say_the_same(migrate, write, command):
    old = write('old.py')
    printed = migrate('config', 'old.py').stdout
    shown = migrate('config', 'old.py', '--diff')

    assert migrate('config', 'old.py', '-o', 'new.py').returncode == 0
    new = command.folder / 'new.py'
    assert new.read_bytes() == printed
    assert old.read_text() == OLD

    tool = shutil.which('patch')
    apply = [tool, '-p1'] if tool else ['git', 'apply', '-']
    subprocess.run(apply, input=shown.stdout, cwd=command.folder, check=True)
    assert old.read_bytes() == printed

    write('old.py')
    assert migrate('config', 'old.py', '--in-place').returncode == 0
    assert old.read_bytes() == printed


def test_diff_of_files_without_a_last_line_end(migrate, write):
    write('old.py', OLD.rstrip())

    lines = migrate('config', 'old.py', '--diff').text.splitlines()

    new = migrate('config', 'old.py').text
    expected = difflib.unified_diff(
        OLD.rstrip().splitlines(), new.splitlines(), lineterm=''
    )
    kept = [x for x in lines[2:] if x[0] != '\\']
    assert kept == list(expected)[2:]
    assert '\\ No newline at end of file' in lines


def test_in_place_again_changes_nothing(migrate, write):
    old = write('old.py')
    migrate('config', 'old.py', '--in-place')
    first, when = old.read_bytes(), old.stat().st_mtime_ns

    done = migrate('config', 'old.py', '--in-place')

    assert done.returncode == 0
    assert old.read_bytes() == first
    assert old.stat().st_mtime_ns == when
    assert 'Nothing to rewrite' in done.text


def test_what_is_left_to_do_is_exit_code_1(migrate, write):
    write('old.py', LEFT)

    done = migrate('config', 'old.py')

    assert done.returncode == 1
    assert 'TODO(mmamp migrate)' in done.text
    assert [x for x in done.report.splitlines() if x.startswith('old.py:3: ')]
    assert ': to do: ' in done.report


def test_a_folder_is_converted_from_what_it_was(migrate, write, command):
    # A child that comes after its base in the order of names, and before.
    write('cfg/b_base.py')
    child = (
        "_base_ = './b_base.py'\noptimizer = dict(generator=dict(lr=1.0))\n"
    )
    write('cfg/a_child.py', child)
    write('cfg/sub/c_child.py', child.replace('./', '../'))
    write('cfg/.hidden/x.py')
    write('cfg/__pycache__/x.py')
    expected = {
        name: migrate('config', f'cfg/{name}').stdout
        for name in ('a_child.py', 'b_base.py', 'sub/c_child.py')
    }
    assert b'generator=dict(optimizer=dict(lr=1.0))' in expected['a_child.py']

    migrate('config', 'cfg', '-o', 'new')
    assert tree(command.folder / 'new') == expected

    done = migrate('config', 'cfg', '--in-place')
    assert done.returncode == 0
    left = tree(command.folder / 'cfg')
    assert left.pop('.hidden/x.py') == OLD.encode()
    assert left.pop('__pycache__/x.py') == OLD.encode()
    assert left == expected


def test_a_folder_alone_writes_nothing(migrate, write, command):
    write('cfg/a.py')
    write('cfg/b.py', LEFT)
    before = tree(command.folder)

    done = migrate('config', 'cfg')

    assert done.returncode == 1
    assert tree(command.folder) == before
    assert 'Nothing is written' in done.text
    rows = {x.split()[0]: x.split()[1:] for x in done.text.splitlines() if x}
    assert rows['all'] == ['2']
    assert rows['unreadable'] == ['0']
    assert done.report == ''


def test_an_unreadable_file_in_a_folder(migrate, write, command):
    write('cfg/a.py')
    broken = write('cfg/b.py', 'optimizer = dict(\n')
    write('cfg/c.py')

    done = migrate('config', 'cfg', '--in-place')

    assert done.returncode == 2
    assert 'b.py: unreadable: line 1' in done.text
    assert broken.read_text() == 'optimizer = dict(\n'
    left = tree(command.folder / 'cfg')
    assert b'optim_wrapper' in left['a.py']
    assert b'optim_wrapper' in left['c.py']
    assert 'unreadable 1' in ' '.join(done.text.split())


UNUSABLE = {
    'missing': (['old.pz'], "'old.pz' does not exist"),
    'near': (['olb.py'], "did you mean 'old.py'?"),
    'far': (['/no/such/file.py'], "'/no/such/file.py' does not exist"),
    'no Python': (['broken.py'], 'broken.py: line 1'),
    'no text': (['binary.py'], 'binary.py: no text'),
    'no .py': (['data.json'], "'data.json' is no Python file"),
    'empty folder': (['empty'], "no Python files in 'empty'"),
    'itself': (['old.py', '-o', './old.py'], '-o would write over'),
    'itself, a folder': (['cfg', '-o', 'cfg'], '-o would write over'),
    'inside': (['cfg', '-o', 'cfg/new'], 'is inside of'),
    'a file for a folder': (['cfg', '-o', 'old.py'], 'it has to be a folder'),
    'two in one': (['cfg/x.py', 'old/x.py', '-o', 'new'], 'would become'),
    'two places': (['old.py', '--in-place', '--diff'], 'not allowed with'),
}


@pytest.mark.parametrize('case', UNUSABLE)
def test_unusable_input(migrate, write, command, case):
    write('old.py')
    write('cfg/x.py')
    write('old/x.py')
    write('broken.py', 'optimizer = dict(\n')
    write('data.json', '{"a": 1}')
    (command.folder / 'binary.py').write_bytes(b'\xff\xfe\x00')
    (command.folder / 'empty').mkdir()
    before = tree(command.folder)
    args, message = UNUSABLE[case]

    done = migrate('config', *args)

    assert done.returncode == 2
    assert message in done.report.splitlines()[-1]
    assert done.stdout == b''
    assert tree(command.folder) == before


def test_output_that_is_there_is_overwritten(migrate, write, command):
    write('old.py')
    new = write('new.py', 'x = 1\n')
    (command.folder / 'folder').mkdir()

    migrate('config', 'old.py', '-o', 'new.py')
    migrate('config', 'old.py', '-o', 'folder')
    migrate('config', 'old.py', '-o', 'made/here.py')

    printed = migrate('config', 'old.py').stdout
    assert new.read_bytes() == printed
    assert (command.folder / 'folder/old.py').read_bytes() == printed
    assert (command.folder / 'made/here.py').read_bytes() == printed


def test_mode_line_ends_and_encoding_are_kept(migrate, write):
    mark = b'\xef\xbb\xbf'
    windows = write('windows.py')
    windows.write_bytes(mark + OLD.replace('\n', '\r\n').encode())
    windows.chmod(0o640)
    latin = write('latin.py')
    latin.write_bytes(b'# coding: latin-1\n# \xfcber\n' + OLD.encode())
    link = windows.with_name('link.py')
    link.symlink_to('windows.py')

    migrate('config', 'link.py', '--in-place')
    migrate('config', 'latin.py', '--in-place')

    data = windows.read_bytes()
    assert b'optim_wrapper' in data
    assert data.startswith(mark)
    assert data.count(b'\n') == data.count(b'\r\n') > 3
    assert windows.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert b'# \xfcber\n' in latin.read_bytes()
    assert b'optim_wrapper' in latin.read_bytes()


def test_a_write_that_fails_leaves_what_was(tmp_path, monkeypatch):
    old = tmp_path / 'old.py'
    old.write_text(OLD)

    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(OSError, match='No space'):
        write_source(old, 'x = 1\n', like=old)

    assert tree(tmp_path) == {'old.py': OLD.encode()}
    assert read_source(old) == OLD


def test_ctrl_c_at_any_line_leaves_no_file_of_its_own(tmp_path):
    """At each line that Python runs while a file is written, in turn."""
    old = tmp_path / 'old.py'
    old.write_text(OLD)

    def interrupted(at):
        """Write, and have Ctrl-C come at a line; whether it came."""
        lines = itertools.count()

        def trace(frame, event, arg):
            if event == 'line' and next(lines) == at:
                raise KeyboardInterrupt
            return trace

        others = sys.gettrace()
        sys.settrace(trace)
        try:
            write_source(old, 'x = 1\n', like=old)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(others)
        return False

    for at in itertools.count():
        came = interrupted(at)
        assert list(tree(tmp_path)) == ['old.py'], at
        assert old.read_text() in (OLD, 'x = 1\n')
        if not came:
            break
        old.write_text(OLD)
    assert at > 10
    assert old.read_text() == 'x = 1\n'


def test_ctrl_c_leaves_whole_files(migrate, write, command):
    names = [f'{i:02}.py' for i in range(40)]
    for name in names:
        write(f'cfg/{name}')
    new = migrate('config', 'cfg/00.py').stdout

    process = subprocess.Popen(
        **command('config', 'cfg', '--in-place', SLOW_DISK='1')
    )
    first = command.folder / 'cfg/01.py'
    end = time.monotonic() + 60
    while first.read_bytes() == OLD.encode():
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    report = process.communicate(timeout=60)[1].decode()

    assert process.returncode == 130
    assert 'Interrupted' in report
    assert 'Traceback' not in report
    left = tree(command.folder / 'cfg')
    assert sorted(left) == names
    assert set(left.values()) == {OLD.encode(), new}


def test_code(migrate, write, command):
    write('net.py', CODE)
    write('sub/other.py', 'x = 1\n')
    write('sub/broken.py', 'x = (\n')

    done = migrate('code', 'net.py')
    assert done.returncode == 0
    assert 'force_fp32' not in done.text
    compile(done.text, 'net.py', 'exec')
    hooks = done.report[done.report.index('custom_hooks = [') :]
    scope = {}
    exec(hooks, scope)
    (hook,) = scope['custom_hooks']
    assert hook['type'] == 'mmamp.PrecisionHook'
    assert all('pattern' in x for x in hook['rules'])

    done = migrate('code', 'net.py', 'sub', '-o', 'new')
    assert done.returncode == 2
    assert 'broken.py: unreadable: line 1' in done.text
    assert sorted(tree(command.folder / 'new')) == ['net.py', 'sub/other.py']
    assert migrate('code', 'sub/broken.py').returncode == 2


def test_without_torch_and_mmengine(migrate, write):
    write('old.py')

    done = migrate('config', 'old.py', BLOCKED='torch mmengine mmcv')
    assert done.returncode == 0
    assert 'optim_wrapper' in done.text

    args = ('config', 'old.py', '--in-place', '--verify')
    done = migrate(*args, BLOCKED='torch mmengine mmcv')
    assert done.returncode == 2
    assert '--verify: mmamp needs mmcv, which is not inst' in done.report
    assert migrate('config', 'old.py').text != OLD


@pytest.mark.parametrize('name', ['rich', 'libcst'])
def test_without_the_extra(migrate, write, name):
    write('old.py')

    done = migrate('config', 'old.py', BLOCKED=name)

    assert done.returncode == 2
    assert done.report.count('\n') == 1
    assert f"{name} is not installed: `pip install 'mmamp[mig" in done.report
    assert migrate('--help', BLOCKED=name).returncode == 0


def test_as_a_module(write, command):
    write('old.py')
    started = command()
    words = ['-m', 'mmamp.migration', 'config', 'old.py', '--nonsense']
    started['args'][1:] = words

    done = subprocess.run(**started)

    assert done.returncode == 2
    assert b'mmamp.migration: error: unrecognized' in done.stderr
    started['args'].pop()
    assert b'optim_wrapper' in subprocess.run(**started).stdout


def test_a_reader_that_leaves(write, command):
    for i in range(300):
        write(f'cfg/{i}.py', OLD)
    process = subprocess.Popen(**command('config', 'cfg', '--diff'))
    process.stdout.readline()
    process.stdout.close()

    assert b'Traceback' not in process.stderr.read()
    process.stderr.close()
    assert process.wait() != 0


def test_a_device_is_written_to_and_not_replaced(migrate, write):
    write('old.py', 'total_iters = 3\n')
    before = os.stat('/dev/null')
    assert migrate('config', 'old.py', '-o', '/dev/null').returncode == 0
    after = os.stat('/dev/null')
    assert (before.st_mode, before.st_rdev) == (after.st_mode, after.st_rdev)


def test_empty_paths_are_refused(migrate, write):
    write('old.py', 'total_iters = 3\n')
    assert migrate('config', '').returncode == 2
    assert migrate('config', 'old.py', '-o', '').returncode == 2


def test_two_files_do_not_go_to_one(migrate, write):
    write('a.py', 'total_iters = 3\n')
    write('b.py', 'total_iters = 3\n')
    done = migrate('config', 'a.py', 'b.py', '-o', 'c.py')
    assert done.returncode == 2
    assert 'is one file' in done.report


def test_the_same_comes_out_whatever_the_hashes(migrate, write):
    # Names are in sets; their order must not tell.
    text = ''.join(
        f'# of {x}\n{x} = {v}\n'
        for x, v in dict(
            workflow="[('train', 1)]",
            resume_from=None,
            dist_params="dict(backend='nccl')",
            cudnn_benchmark=True,
            opencv_num_threads=0,
            mp_start_method="'fork'",
            fp16=None,
            optimizer_config=None,
        ).items()
    )
    write('old.py', text)
    out = {
        migrate('config', 'old.py', PYTHONHASHSEED=str(i)).text
        for i in range(3)
    }
    assert len(out) == 1
