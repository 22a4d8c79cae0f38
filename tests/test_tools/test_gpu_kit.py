"""Of ``tools/dev/gpu_kit.sh``: its command line, limits, order and tables."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu_kit import command, schedule
from benchmarks.gpu_kit.command import MARKS, PAGES, main
from benchmarks.gpu_kit.pack import PackError, checkout, install, num_bytes
from benchmarks.gpu_kit.parts.resume import difference
from benchmarks.gpu_kit.records import NAME, Records
from benchmarks.gpu_kit.schedule import PARTS, Part, limits, run
from benchmarks.gpu_kit.tables import device_of, tables

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'tools/dev/gpu_kit.sh'


@pytest.mark.parametrize(
    ('argv', 'said'),
    [
        ([], 'required: command'),
        (['ran'], "'ran'"),
        (['run', '0'], "'0' is no number above 0"),
        (['run', 'inf'], "'inf' is no number above 0"),
        (['run', 'nine'], "'nine' is no number above 0"),
        (['run', '9', '10'], 'unrecognized arguments: 10'),
        (['part', 'speed', '.'], "'speed'"),
    ],
)
def test_wrong_arguments(argv, said, capsys):
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2
    assert said in capsys.readouterr().err


def test_the_script_is_a_shell_over_it():
    """From any folder, by whichever Python it is told."""
    done = subprocess.run(
        ['bash', str(SCRIPT), '--help'],
        env=dict(os.environ, PYTHON=sys.executable),
        cwd='/',
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert '{pack,run,write,part}' in done.stdout


def test_it_begins_without_what_is_packed():
    """Python's own library does, until the wheels are there."""
    code = (
        'import sys, benchmarks.gpu_kit; '
        'print(sorted(x for x in ("torch", "mmengine", "mmamp", "rich") '
        'if x in sys.modules))'
    )
    out = subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out == '[]\n'


def test_every_part_has_its_file():
    folder = ROOT / 'benchmarks/gpu_kit/parts'
    names = {path.stem for path in folder.glob('[a-z]*.py')}
    assert names == {part.name for part in PARTS}
    assert [part.name for part in PARTS[:5]] == [
        *('device', 'tests', 'waits', 'resume', 'benchmark')
    ]


class TestLimits:
    PARTS = [Part('a', 'A', 10), Part('b', 'B', 30), Part('c', 'C', 20)]

    def seconds(self, took, end=60.0):
        """What each may take, if those before it took so long."""
        clock, found = [0.0], []
        for (_, limit), its in zip(
            limits(self.PARTS, end, lambda: sum(clock)), took, strict=True
        ):
            found.append(limit)
            clock.append(its)
        return found

    def test_are_shares(self):
        assert self.seconds([10, 30, 20]) == [10, 30, 20]

    def test_what_one_leaves_is_for_the_others(self):
        assert self.seconds([0, 30, 30]) == [10, 36, 30]
        # And the last has all that there is.
        assert self.seconds([1, 1, 0])[-1] == 58

    def test_what_one_takes_too_much_is_taken_from_the_others(self):
        assert self.seconds([20, 24, 16]) == [10, 24, 16]
        assert self.seconds([90, 0, 0]) == [10, 0, 0]


class TestRun:
    def ends(self, code, tmp_path, seconds=60.0):
        return run([sys.executable, '-c', code], seconds, tmp_path / 'log')

    def test_done_and_failed(self, tmp_path):
        assert self.ends('print("a")', tmp_path) == 'done'
        failed = self.ends('import sys; sys.exit("b")', tmp_path)
        assert failed == 'failed (exit code 1): see log'
        assert (tmp_path / 'log').read_text() == 'a\nb\n'

    def test_cut_off_with_all_that_it_started(self, tmp_path):
        """What it had written stays; a child that does not listen, too."""
        code = (
            'import subprocess, sys, time\n'
            'child = subprocess.Popen([sys.executable, "-c", '
            '"import signal, time; '
            'signal.signal(signal.SIGTERM, signal.SIG_IGN); '
            'time.sleep(60)"])\n'
            'print(child.pid, flush=True)\n'
            'time.sleep(60)'
        )
        began = time.monotonic()
        assert self.ends(code, tmp_path, 2.0) == 'cut off after 2 s'
        assert time.monotonic() - began < 2 + schedule.GRACE
        child = Path('/proc', (tmp_path / 'log').read_text().strip(), 'stat')
        for _ in range(100):
            if not child.exists() or ' Z ' in child.read_text():
                break
            time.sleep(0.05)
        else:
            raise AssertionError('the child lives')

    def test_one_that_does_not_end_is_killed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(schedule, 'GRACE', 0.2)
        code = (
            'import signal, time; '
            'signal.signal(signal.SIGTERM, signal.SIG_IGN); '
            'print("deaf", flush=True); time.sleep(60)'
        )
        assert self.ends(code, tmp_path, 2.0) == 'cut off after 2 s'
        assert (tmp_path / 'log').read_text() == 'deaf\n'


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """``kit(minutes)``: run three small parts, in place of the real ones."""
    parts = [Part('a', 'A', 1), Part('b', 'B', 1), Part('c', 'C', 1)]
    (tmp_path / 'part.py').write_text(
        'import sys, time\n'
        'from pathlib import Path\n'
        'from benchmarks.gpu_kit.records import Records\n'
        'name, folder = sys.argv[2:]\n'
        'Records(Path(folder)).add(name, "", found=1)\n'
        'time.sleep(60 * (name == "b"))\n'
        'sys.exit(name == "c")\n'
    )
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setenv('OUT', str(tmp_path / 'out'))
    for module in (command, command.tables.__globals__):
        if isinstance(module, dict):
            monkeypatch.setitem(module, 'PARTS', parts)
        else:
            monkeypatch.setattr(module, 'PARTS', parts)
    monkeypatch.setattr(command, 'RESERVE', 0.0)
    monkeypatch.setattr(command, 'install', lambda folder: None)
    starts = command.run

    def run_part(argv, seconds, log):
        own = [argv[0], str(tmp_path / 'part.py'), *argv[3:]]
        return starts(own, seconds, log)

    monkeypatch.setattr(command, 'run', run_part)

    def run_kit(minutes):
        before = command.signal.getsignal(command.signal.SIGTERM)
        try:
            code = main(['run', str(minutes)])
        finally:
            command.signal.signal(command.signal.SIGTERM, before)
        return code, tmp_path / 'out' / 'gpu_kit'

    return run_kit


def test_goes_through_all_whatever_becomes_of_one(kit):
    code, folder = kit(9 / 60)
    assert code == 1  # the last one failed
    lines = list(Records(folder))
    assert [x['part'] for x in lines] == ['a', 'a', 'b', 'b', 'c', 'c']
    results = [x['result'] for x in lines if 'result' in x]
    assert results[0] == 'done'
    assert results[1].startswith('cut off after ')
    assert results[2].startswith('failed (exit code 1)')
    text = (folder / 'tables.md').read_text()
    assert text.count('| found |') == 3
    # Little enough to come back from anywhere.
    assert {x.name for x in folder.iterdir()} == {
        *('results.jsonl', 'tables.md', 'log.txt')
    }


class TestRecords:
    def test_a_line_that_was_cut_off(self, tmp_path):
        records = Records(tmp_path)
        records.add('waits', 'T', way='by hand', waits=0)
        with open(tmp_path / NAME, 'a') as file:
            file.write('{"part": "wai')
        assert [x['cells']['way'] for x in records] == ['by hand']
        text = tables(records)
        assert '| Waits for the device in an iteration | cut off |  |' in text
        assert '| Killed and resumed | not begun |  |' in text

    def test_tables(self, tmp_path):
        records = Records(tmp_path)
        records.add('device', '', what='GPU', value='H')
        records.add('benchmark', 'one', a='x | y', b=1234.5)
        records.add('benchmark', 'one', b=0.12345, c=True)
        records.end('benchmark', 'done', 2.04)
        text = tables(records)
        assert '| Time and memory | done | 2 |' in text
        assert text.endswith(
            '## Time and memory\n\n**one**\n\n| a | b | c |\n'
            '| --- | --- | --- |\n| x / y | 1234 |  |\n|  | 0.123 | True |'
        )
        assert device_of(records) == 'H'


class TestWrite:
    @pytest.fixture
    def pages(self, tmp_path, monkeypatch):
        pages = [tmp_path / 'en.md', tmp_path / 'zh.md']
        for page in pages:
            page.write_text(f'# On\n\n{MARKS[0]}\n\nnothing\n\n{MARKS[1]}\n')
        monkeypatch.setattr(command, 'PAGES', pages)
        return pages

    def test_of_a_gpu(self, tmp_path, pages):
        Records(tmp_path).add('device', '', what='GPU', value='NVIDIA H200')
        assert main(['write', str(tmp_path)]) == 0
        for page in pages:
            text = page.read_text()
            assert '| GPU | NVIDIA H200 |' in text
            assert 'nothing' not in text

    def test_none_of_a_cpu(self, tmp_path, pages, capsys):
        Records(tmp_path).add('device', '', what='GPU', value='none')
        assert main(['write', str(tmp_path)]) == 1
        assert 'of a machine without a GPU' in capsys.readouterr().err
        assert 'nothing' in pages[0].read_text()

    def test_nothing(self, tmp_path, pages, capsys):
        assert main(['write', str(tmp_path)]) == 1
        assert NAME in capsys.readouterr().err

    def test_the_pages_have_the_marks(self):
        for page in PAGES:
            text = (ROOT / page).read_text()
            assert [text.count(mark) for mark in MARKS] == [1, 1]


class TestPack:
    def test_too_much_is_refused(self, tmp_path, monkeypatch, capsys):
        wheels = tmp_path / 'wheels'
        wheels.mkdir()
        (wheels / 'a.whl').write_bytes(b'x' * 1000)
        monkeypatch.setattr(command, 'WHEELS', wheels)
        monkeypatch.setattr(command, 'download', lambda: None)
        monkeypatch.setattr(command, 'checkout', list)
        assert main(['pack']) == 0
        monkeypatch.setattr(command, 'LIMIT', 999)
        assert main(['pack']) == 1
        said = capsys.readouterr()
        assert '1 wheels in' in said.out
        assert 'that is too much' in said.err

    def test_what_git_ignores_is_not_counted(self, monkeypatch):
        monkeypatch.chdir(ROOT)
        found = set(map(str, checkout()))
        assert 'tools/dev/gpu_kit.sh' in found
        assert not any(x.startswith(('.venv/', 'gpu_kit/')) for x in found)
        assert 2**20 < num_bytes(map(Path, found)) < command.LIMIT

    def test_nothing_is_packed_yet(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(PackError, match='pack them first'):
            install(tmp_path)


def test_how_far_two_ends_are_from_each_other():
    import torch

    first = dict(
        state_dict=dict(a=torch.ones(2)),
        optimizer=dict(state=[torch.zeros(3)]),
        rng_states=[torch.zeros(1)],
    )
    assert difference(first, first) == 'equal, bit for bit'
    second = dict(first, state_dict=dict(a=torch.tensor([1.0, 1.5])))
    assert difference(first, second) == (
        '1 of 3 tensors differ, the most state_dict.a: by 5.0e-01 of its '
        'greatest value'
    )
    third = dict(first, rng_states=[])
    assert 'one of them lacks 1 tensors' in difference(first, third)


@pytest.mark.slow
def test_packed_and_run_without_a_network(tmp_path):
    """In this environment, which has all but what is packed, and more."""
    env = dict(
        os.environ,
        PYTHON=sys.executable,
        OUT=str(tmp_path),
        OMP_NUM_THREADS='1',
    )
    subprocess.run(['bash', str(SCRIPT), 'pack'], env=env, check=True)
    # Wheels of Python 3.12, whatever this one is.
    names = [x.name for x in (ROOT / 'gpu_kit').glob('libcst-*')]
    assert len(names) == 1
    assert '-cp312-cp312-manylinux' in names[0]
    if sys.version_info[:2] != (3, 12):
        return
    done = subprocess.run(
        ['bash', str(SCRIPT), 'run', '3'], env=env, timeout=240
    )
    lines = [
        json.loads(x)
        for x in (tmp_path / 'gpu_kit' / NAME).read_text().splitlines()
    ]
    assert len([x for x in lines if 'result' in x]) == len(PARTS)
    assert done.returncode == 0
