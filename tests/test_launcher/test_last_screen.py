"""What a run says last, by real runs: its commands do what they say."""

import re
import shlex
from pathlib import Path

import pytest

import mmamp.sample
import mmamp.test
from mmamp.launcher.resume import other_command
from mmamp.train import main

ROOT = Path(__file__).parents[2]
DCGAN = str(ROOT / 'configs/dcgan/dcgan_digits-32x32.py')
SMALL = [
    'train_dataloader.batch_size=4',
    'model.generator.base_channels=2',
    'model.discriminator.base_channels=2',
    'model.ema_config.standing_batches=1',
    'val_dataloader.batch_size=16',
    'val_dataloader.dataset.indices=20',
    'train_cfg.max_iters=4',
    'train_cfg.val_interval=2',
    'default_hooks.checkpoint.interval=4',
]


def run(work_dir, *options, more=()):
    argv = [DCGAN, '--work-dir', str(work_dir), *more, '--cfg-options']
    name = f'experiment_name={work_dir.name}{len(more)}'
    return main([*argv, *SMALL, name, *options])


def last_screen(capsys):
    """Its lines: the part behind the first word, by that word."""
    text = capsys.readouterr().out.partition(' - Trained ')[2]
    first, *lines = text.splitlines()
    return first, dict(x.strip().split(': ', 1) for x in lines)


def test_weights_and_a_command_that_uses_them(tmp_path, capsys):
    assert run(tmp_path) == 0
    first, found = last_screen(capsys)
    assert re.fullmatch(r'4 iterations in 0:\d\d:\d\d', first)
    assert found['last'] == str(tmp_path / 'iter_4.pth')
    best, _, score = found['best'].partition(' ')
    assert Path(best).is_file()
    assert re.fullmatch(r'\(FID [\d.e+]+\)', score)
    _, _, module, *argv = shlex.split(found['pictures'])
    assert module == 'mmamp.sample'
    assert argv[1] == best
    assert mmamp.sample.main([*argv, '--num', '1']) == 0
    assert len(list((tmp_path / 'samples').glob('*.png'))) >= 1
    # What the command line has changed is in the config that it names.
    assert mmamp.test.main([argv[0], best]) == 0


def test_the_last_where_no_best_is_kept(tmp_path, capsys):
    options = [
        *('default_hooks.checkpoint.save_best=None', 'val_evaluator=None'),
        *('val_dataloader=None', 'val_cfg=None', 'train_cfg.val_interval=9'),
    ]
    assert run(tmp_path, *options) == 0
    _, found = last_screen(capsys)
    assert 'best' not in found
    assert str(tmp_path / 'iter_4.pth') in found['pictures']
    # A run that goes on tells of its own part, one at its end of none.
    more = ['--resume']
    assert run(tmp_path, *options, 'train_cfg.max_iters=7', more=more) == 0
    assert last_screen(capsys)[0].startswith('3 iterations in ')
    assert run(tmp_path, *options, 'train_cfg.max_iters=7', more=more) == 0
    assert 'Trained' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ('started', 'command'),
    [
        ('tools/train.py', 'python tools/sample.py'),
        ('own_train.py', 'python -m mmamp.sample'),
    ],
)
def test_other_command(started, command, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr('sys.argv', [started])
    assert other_command('sample') == command
