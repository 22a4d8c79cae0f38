"""Progress on a terminal: real runs in real pseudo terminals."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from terminals import Terminal

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/dcgan/dcgan_digits-32x32.py'
OPTIONS = [
    'train_dataloader.batch_size=4',
    'model.generator.base_channels=2',
    'model.discriminator.base_channels=2',
    'default_hooks.logger.interval=5',
    'default_hooks.checkpoint.save_best=None',
    'custom_hooks.2.interval=1000',
    'val_dataloader=None',
    'val_cfg=None',
    'val_evaluator=None',
]
SHOWN, HIDDEN = '\x1b[?25h', '\x1b[?25l'


def command(python, work_dir, iters, *options):
    return [
        *(python, '-m', 'mmamp.train', str(CONFIG), '--amp'),
        *('--amp-dtype', 'float16', '--work-dir', str(work_dir)),
        *('--cfg-options', *OPTIONS, *options, f'train_cfg.max_iters={iters}'),
    ]


def test_a_line_that_is_kept_up_to_date(tmp_path, python):
    terminal = Terminal(command(python, tmp_path, 40), tmp_path)
    assert terminal.end() == 0, terminal.text
    text = terminal.text
    lines = re.findall(r'Iter \d+/40  eta [^\r\n\x1b]*', text)
    assert lines[-1].startswith('Iter 40/40  eta 0:00:00')
    last = re.fullmatch(
        r'Iter 40/40  eta 0:00:00  skipped \d+  scale \S+  loss_\S+ [\d.]+.*',
        lines[-1],
    )
    assert last, lines[-1]
    # What else is logged is above it, and all of it is in the file.
    assert 'Iter(train)' not in text
    assert 'Saving checkpoint at 40 iterations' in text
    assert 'Training ImageGAN: generator (DCGANGenerator' in text
    (log,) = tmp_path.glob('*/*.log')
    assert 'Iter(train) [40/40]' in log.read_text()
    assert text.rfind(SHOWN) > text.rfind(HIDDEN)


def test_ctrl_c_leaves_the_terminal_in_order(tmp_path, python):
    terminal = Terminal(command(python, tmp_path, 10**6), tmp_path)
    terminal.read(r'Iter [1-9]\d*/1000000  eta \d')
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.end() == 130, terminal.text
    text = terminal.text
    assert 'Traceback' not in text
    assert text.rstrip().endswith('before the first checkpoint was saved.')
    assert text.rfind(SHOWN) > text.rfind(HIDDEN)
    # On a line of its own.
    assert re.search(r'\n\S*Interrupted before the first', text)


def test_a_second_signal_leaves_the_cursor(tmp_path, python):
    """It ends the process at once, whatever it does."""
    terminal = Terminal(command(python, tmp_path, 10**6), tmp_path)
    terminal.read(r'Iter [1-9]\d*/1000000')
    os.killpg(terminal.process.pid, signal.SIGKILL)
    terminal.end()
    assert terminal.text.rfind(SHOWN) > terminal.text.rfind(HIDDEN)


@pytest.mark.parametrize('is_dumb', [True, False])
def test_elsewhere_there_are_lines_of_the_log(tmp_path, python, is_dumb):
    """On a terminal that cannot move its cursor, and in a pipe."""
    run = command(python, tmp_path, 10)
    if is_dumb:
        terminal = Terminal(run, tmp_path, TERM='dumb')
        assert terminal.end() == 0, terminal.text
        text = terminal.text
    else:
        done = subprocess.run(
            run, capture_output=True, text=True, cwd=tmp_path, check=True
        )
        text = done.stdout
    assert 'Iter(train) [ 5/10]' in text
    assert 'Iter 10/10' not in text
    assert HIDDEN not in text


def test_workers_write_where_they_did(tmp_path, python):
    """A fork may have a lock of the thread that draws."""
    (tmp_path / 'own.py').write_text(
        'from mmengine.logging import print_log\n'
        'from mmamp.registry import TRANSFORMS\n'
        '@TRANSFORMS.register_module()\n'
        'class Says:\n'
        '    def __init__(self): self.n = 0\n'
        '    def __call__(self, results):\n'
        '        self.n += 1\n'
        '        print(f"worker says {self.n}", flush=True)\n'
        "        print_log(f'worker logs {self.n}', logger='current')\n"
        '        return results\n'
    )
    config = tmp_path / 'c.py'
    config.write_text(
        f'_base_ = {str(CONFIG)!r}\n'
        "custom_imports = dict(imports=['own'])\n"
        'train_dataloader = dict(num_workers=2, dataset=dict(pipeline=['
        "dict(type='Resize', scale=(32, 32)), dict(type='Says'), "
        "dict(type='PackImage')]))\n"
    )
    run = command(python, tmp_path / 'run', 30)
    run[run.index(str(CONFIG))] = str(config)
    # As `python -m` finds it.
    terminal = Terminal(run, tmp_path)
    assert terminal.end() == 0, terminal.text
    assert 'worker says 1' in terminal.text
    assert 'worker logs 1' in terminal.text
    assert 'Iter 30/30' in terminal.text
