import logging
import shutil
import sys
from argparse import Namespace
from importlib.machinery import ModuleSpec

import pytest
import torch
from mmengine.config import Config

from mmamp.errors import UsageError
from mmamp.launcher.resume import (
    check_same_start,
    how_to_resume,
    resume_command,
    set_resume,
    warn_of_used_work_dir,
)


def save(path, **meta):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict={}, meta=meta, message_hub={}), path)


def config(work_dir, **kwargs):
    return Config(dict(work_dir=str(work_dir), **kwargs))


class TestUsedWorkDir:
    @pytest.fixture
    def told(self, tmp_path, mm_log):
        save(tmp_path / 'run/iter_1.pth')

        def told(**settings):
            warn_of_used_work_dir(config(tmp_path / 'run', **settings))
            return mm_log(logging.WARNING)

        return told

    def test_a_new_run(self, told):
        assert 'iter_1.pth' in told()

    def test_one_that_begins_with_its_weights(self, told, tmp_path):
        assert 'iter_1.pth' in told(load_from=f'{tmp_path}/run/iter_1.pth')

    def test_one_that_goes_on(self, told, tmp_path):
        path = f'{tmp_path}/run/../run/iter_1.pth'
        assert told(resume=True, load_from=path) == ''
        assert told(resume=True) == ''

    def test_one_that_goes_on_from_another(self, told, tmp_path):
        save(tmp_path / 'other/iter_1.pth')
        other = f'{tmp_path}/other/iter_1.pth'
        assert 'iter_1.pth' in told(resume=True, load_from=other)

    def test_where_checkpoints_go(self, tmp_path, mm_log):
        hook = dict(out_dir=str(tmp_path / 'out'))
        cfg = config(tmp_path / 'x', default_hooks=dict(checkpoint=hook))
        warn_of_used_work_dir(cfg)
        assert mm_log() == ''
        save(tmp_path / 'out/x/iter_7.pth')
        warn_of_used_work_dir(cfg)
        assert 'iter_7.pth' in mm_log(logging.WARNING)

    def test_a_store_is_not_asked(self, tmp_path, mm_log):
        hook = dict(out_dir='nowhere://bucket')
        cfg = config(tmp_path / 'x', default_hooks=dict(checkpoint=hook))
        warn_of_used_work_dir(cfg)
        assert mm_log() == ''


class TestWhere:
    def test_not_asked_for(self, tmp_path):
        save(tmp_path / 'iter_1.pth')
        cfg = config(tmp_path, load_from='a.pth')
        set_resume(cfg, Namespace(resume=None))
        assert cfg.to_dict() == config(tmp_path, load_from='a.pth').to_dict()

    def test_the_latest(self, tmp_path, mm_log):
        save(tmp_path / 'iter_1.pth', seed=7)
        cfg = config(tmp_path)
        set_resume(cfg, Namespace(resume='auto'))
        assert cfg.resume is True
        assert cfg.load_from == str(tmp_path / 'iter_1.pth')
        assert cfg.randomness.seed == 7
        assert 'the seed is 7' in mm_log()

    def test_a_seed_in_the_config_stays(self, tmp_path):
        save(tmp_path / 'iter_1.pth', seed=7)
        cfg = config(tmp_path, randomness=dict(seed=1))
        set_resume(cfg, Namespace(resume='auto'))
        assert cfg.randomness.seed == 1

    def test_checkpoints_that_go_elsewhere(self, tmp_path):
        """The way that MMEngine's hook names the folder."""
        hook = dict(type='CheckpointHook', out_dir=str(tmp_path / 'out'))
        cfg = config(tmp_path / 'run', default_hooks=dict(checkpoint=hook))
        save(tmp_path / 'out/run/iter_3.pth')
        set_resume(cfg, Namespace(resume='auto'))
        assert cfg.load_from == str(tmp_path / 'out/run/iter_3.pth')
        # Killed while MMEngine wrote it.
        (tmp_path / 'run').mkdir()
        (tmp_path / 'run/last_checkpoint').touch()
        set_resume(cfg, Namespace(resume='auto'))
        assert cfg.load_from == str(tmp_path / 'out/run/iter_3.pth')

    @pytest.mark.parametrize('weights', [None, 'w.pth'])
    def test_none_yet(self, tmp_path, mm_log, weights):
        cfg = config(tmp_path, load_from=weights)
        set_resume(cfg, Namespace(resume='auto'))
        assert cfg.resume is False
        assert cfg.load_from == weights
        text = mm_log()
        assert 'starts from the beginning' in text
        assert ('with the weights of w.pth' in text) == bool(weights)

    def test_the_latest_of_another_work_dir(self, tmp_path):
        save(tmp_path / 'first/iter_1.pth')
        save(tmp_path / 'first/iter_2.pth')
        cfg = config(tmp_path / 'second')
        set_resume(cfg, Namespace(resume=str(tmp_path / 'first')))
        assert cfg.load_from == str(tmp_path / 'first/iter_2.pth')

    def test_deepspeed(self, tmp_path):
        strategy = dict(type='mmengine.DeepSpeedStrategy')
        with pytest.raises(UsageError, match='folders of pickles'):
            set_resume(
                config(tmp_path, strategy=strategy), Namespace(resume='auto')
            )


class TestHow:
    @pytest.mark.parametrize(
        ('module', 'file', 'command'),
        [
            (None, None, 'python tools/train.py C --amp --resume'),
            (
                'mmamp.train',
                'tools/train.py',
                'python -m mmamp.train C --amp --resume',
            ),
            # A profiler's, which runs the script.
            (
                'cProfile',
                'lib/cProfile.py',
                'python tools/train.py C --amp --resume',
            ),
        ],
    )
    def test_after_a_checkpoint(
        self, tmp_path, monkeypatch, module, file, command
    ):
        monkeypatch.setattr(sys, 'argv', ['tools/train.py'])
        spec = module and ModuleSpec(module, None, origin=file)
        monkeypatch.setattr(sys.modules['__main__'], '__spec__', spec)
        save(tmp_path / 'iter_1.pth')
        text = how_to_resume(config(tmp_path), ['C', '--amp'])
        path = tmp_path / 'iter_1.pth'
        assert text == f'Interrupted. Go on from {path} with: {command}'

    def test_before_the_first(self, tmp_path):
        text = how_to_resume(config(tmp_path), ['C'])
        assert text == 'Interrupted before the first checkpoint was saved.'

    def test_when_none_is_whole(self, tmp_path):
        (tmp_path / 'iter_1.pth').write_bytes(b'x')
        text = how_to_resume(config(tmp_path), ['C'])
        assert text.startswith('Interrupted; none of the checkpoints in')


@pytest.mark.parametrize(
    'argv',
    [
        ['C', '--amp'],
        ['C', '--resume', '--amp'],
        ['C', '--resume', 'old dir/iter_5.pth', '--amp'],
        ['C', '--resume=iter_5.pth', '--amp'],
        ['C', '--amp', '--resume', 'auto'],
    ],
)
def test_the_command_resumes_from_the_latest(argv, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['tools/train.py'])
    monkeypatch.setattr(sys.modules['__main__'], '__spec__', None)
    command = 'python tools/train.py C --amp --resume'
    assert resume_command(argv) == command


def test_the_command_of_several_processes(monkeypatch):
    monkeypatch.setenv('MMAMP_COMMAND', 'bash tools/dist_train.sh C 2')
    argv = ['C', '--launcher', 'pytorch', '--amp', '--resume', 'x.pth']
    command = 'bash tools/dist_train.sh C 2 --amp --resume'
    assert resume_command(argv) == command


def start(rank, world_size, paths):
    try:
        check_same_start(Config(dict(resume=True, load_from=paths[rank])))
    except UsageError as error:
        return str(error)
    return ''


def test_a_file_under_two_mount_points(in_ranks, tmp_path):
    """What a machine calls it does not matter."""
    save(tmp_path / 'a/iter_1.pth', seed=1)
    save(tmp_path / 'c/iter_1.pth', seed=2)
    (tmp_path / 'b').mkdir()
    shutil.copy(tmp_path / 'a/iter_1.pth', tmp_path / 'b/iter_1.pth')
    one, same, other = (str(tmp_path / x / 'iter_1.pth') for x in 'abc')
    assert in_ranks(2, start, [one, same]) == ['', '']
    for text in in_ranks(2, start, [one, other]):
        assert f'(0: {one}, 1: {other})' in text
