"""Checkpoints: what may be in them, and what must not run."""

import builtins
import os
import pickle
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from mmamp.checkpoint.latest import check_checkpoint, latest_checkpoint
from mmamp.checkpoint.primitives import history_from, plain, plain_history
from mmamp.checkpoint.safe_load import load_safely_only
from mmamp.errors import UsageError


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Loading is restricted for the length of a test."""
    for name in (
        'TORCH_FORCE_WEIGHTS_ONLY_LOAD',
        'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD',
    ):
        monkeypatch.setenv(name, '0')
        monkeypatch.delenv(name)
    kept = torch.serialization.get_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(kept)


class _System:
    """A pickle of it runs a shell command when it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


class _ThroughGetattr:
    """Fetches the same function by way of ``builtins.getattr``."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def __reduce__(self):
        return builtins.getattr, (self.owner, self.name)


class TestHostile:
    def test_a_command_does_not_run(self, tmp_path):
        marker, path = tmp_path / 'ran', tmp_path / 'evil.pth'
        torch.save(dict(state_dict={}, meta=_System(marker)), path)
        load_safely_only()
        with pytest.raises(UsageError, match=r'GLOBAL posix.system'):
            check_checkpoint(str(path))
        with pytest.raises(pickle.UnpicklingError):
            torch.load(path, weights_only=False)
        assert not marker.exists()

    @pytest.mark.parametrize(
        ('owner', 'name'),
        [
            (HistoryBuffer, '__init__'),
            (HistoryBuffer, '_statistics_methods'),
            (HistoryBuffer, '__subclasses__'),
            (np.ndarray, 'tofile'),
            (np.dtype, '__reduce__'),
        ],
    )
    def test_getattr_answers_for_statistics_alone(self, tmp_path, owner, name):
        path = tmp_path / 'evil.pth'
        torch.save(dict(state_dict={}, x=_ThroughGetattr(owner, name)), path)
        load_safely_only()
        with pytest.raises(UsageError, match=f'attribute {name!r}'):
            check_checkpoint(str(path))

    def test_an_unknown_class_is_named(self, tmp_path):
        path = tmp_path / 'foreign.pth'
        torch.save(dict(state_dict={}, meta=Runner), path)
        load_safely_only()
        with pytest.raises(UsageError, match=r'mmengine\.runner\.runner') as e:
            check_checkpoint(str(path))
        assert '\n' not in str(e.value)
        assert 'Please' not in str(e.value)

    def test_the_launcher_refuses_it(self, tmp_path, python):
        marker, path = tmp_path / 'ran', tmp_path / 'evil.pth'
        torch.save(dict(state_dict={}, meta=_System(marker)), path)
        config = os.path.join(
            os.path.dirname(__file__),
            '../../configs/dcgan/dcgan_digits-32x32.py',
        )
        result = subprocess.run(
            [python, '-m', 'mmamp.train', config, '--resume', path],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=dict(os.environ, PYTHONPATH=os.getcwd()),
        )
        assert result.returncode == 2, result.stderr
        assert 'weights_only' in result.stderr.splitlines()[-1]
        assert not marker.exists()


class TestStock:
    """Checkpoints written by MMEngine without anything of mmamp's."""

    def test_resumes(self, build_runner):
        def stock(cfg):
            cfg.optim_wrapper.type = 'mmengine.OptimWrapper'
            for key in ('dtype', 'loss_scale'):
                del cfg.optim_wrapper[key]
            cfg.default_hooks.checkpoint.type = 'mmengine.CheckpointHook'
            cfg.default_hooks.runtime_info = dict(
                type='mmengine.RuntimeInfoHook'
            )
            cfg.param_scheduler = scheduler

        scheduler = dict(type='LinearLR', end=10, by_epoch=False)
        first = build_runner(edit=stock)
        first.train()
        kinds = {type(hook).__module__ for hook in first.hooks}
        assert not any(kind.startswith('mmamp') for kind in kinds)
        assert type(first.optim_wrapper).__module__.startswith('mmengine')
        path = os.path.join(first.work_dir, 'iter_4.pth')
        load_safely_only()
        check_checkpoint(path)
        second = build_runner(
            options={
                'load_from': path,
                'resume': True,
                'train_cfg.max_iters': 6,
                'custom_hooks': [dict(type='StateHook')],
                'param_scheduler': scheduler,
            }
        )
        begin = []

        @second.model.register_forward_pre_hook
        def look(module, args):
            if not begin:
                begin.append({k: v.clone() for k, v in state(module).items()})

        def state(module):
            return module.network.state_dict()

        second.train()
        assert second.iter == 6
        for name, value in state(first.model).items():
            assert torch.equal(begin[0][name], value)
        steps = [
            x['step'] for x in second.optim_wrapper.optimizer.state.values()
        ]
        assert set(map(float, steps)) == {6}
        assert second.param_schedulers[0].last_step == 6
        assert isinstance(
            second.message_hub.get_scalar('train/loss_cls'), HistoryBuffer
        )

    def test_numpy_1_names_are_known(self, tmp_path):
        path = tmp_path / 'old.pth'
        torch.save(dict(x=HistoryBuffer([1.0, 2.0], [1, 1])), path)
        load_safely_only()
        assert torch.load(path)['x'].mean() == 1.5
        names = {
            f'{f.__module__}.{f.__qualname__}'
            for f in torch.serialization.get_safe_globals()
        }
        assert 'numpy.core.multiarray._reconstruct' in names

    def test_numpy_1_26_has_an_empty_core(self, tmp_path, monkeypatch):
        path = tmp_path / 'old.pth'
        torch.save(dict(x=HistoryBuffer([1.0, 2.0], [1, 1])), path)
        monkeypatch.setattr(np, '_core', ModuleType('numpy._core'))
        load_safely_only()
        assert torch.load(path)['x'].mean() == 1.5


class TestOwn:
    def test_loads_with_bare_torch(self, build_runner):
        """No allow-list, no mmengine: a fresh process with torch alone."""
        runner = build_runner(
            options=dict(custom_hooks=[{'type': 'StateHook'}])
        )
        runner.train()
        path = os.path.join(runner.work_dir, 'iter_4.pth')
        code = (
            'import sys, torch\n'
            f'c = torch.load({path!r}, weights_only=True)\n'
            "assert 'mmengine' not in sys.modules\n"
            "print(sorted(c), c['meta']['iter'])\n"
        )
        result = subprocess.run(
            [sys.executable, '-c', code], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        assert 'message_hub' in result.stdout


class TestPlain:
    def test_numpy_becomes_numbers_and_lists(self):
        class Text(str):
            pass

        value = plain(
            dict(
                a=np.float32(1.5),
                b=np.arange(3),
                c=(np.int64(2), [None, True]),
                d={Text('x')},
                e=Text('y'),
            )
        )
        assert value == dict(
            a=1.5, b=[0, 1, 2], c=(2, [None, True]), d=['x'], e='y'
        )
        assert type(value['a']) is float
        assert type(value['e']) is str
        assert type(value['d'][0]) is str

    @pytest.mark.parametrize('value', [object(), [Runner], {'a': {1: len}}])
    def test_else_is_refused(self, value):
        with pytest.raises(TypeError):
            plain(value)

    def test_history_there_and_back(self):
        buffer = HistoryBuffer([1.0, 2.0, 4.0], [1, 2, 1], max_length=3)
        again = history_from(plain_history(buffer))
        for old, new in zip(buffer.data, again.data, strict=True):
            np.testing.assert_array_equal(old, new)
        assert again.max_length == 3
        assert again.mean() == buffer.mean()
        assert history_from(7) == 7


class TestCheck:
    def test_missing(self, tmp_path):
        with pytest.raises(UsageError, match='does not exist'):
            check_checkpoint(str(tmp_path / 'no.pth'))

    def test_truncated(self, tmp_path):
        path = tmp_path / 'cut.pth'
        torch.save(dict(state_dict=dict(w=torch.ones(1000))), path)
        path.write_bytes(path.read_bytes()[:-1500])
        with pytest.raises(UsageError, match='cannot be read'):
            check_checkpoint(str(path))

    def test_weights_alone(self, tmp_path):
        path = tmp_path / 'weights.pth'
        torch.save(dict(state_dict=dict(w=torch.ones(1))), path)
        with pytest.raises(UsageError, match='lacks meta, message_hub'):
            check_checkpoint(str(path))


class TestLatest:
    """What ``--resume`` goes on from."""

    @staticmethod
    def write(folder, *names, last=None):
        for i, name in enumerate(names):
            path = folder / name
            torch.save(
                dict(state_dict={}, meta=dict(iter=i), message_hub={}), path
            )
            os.utime(path, (i, i))
        if last is not None:
            (folder / 'last_checkpoint').write_text(str(folder / last))

    def test_what_last_checkpoint_names(self, tmp_path):
        self.write(tmp_path, 'iter_1.pth', 'iter_2.pth', last='iter_1.pth')
        path, meta = latest_checkpoint(str(tmp_path))
        assert path == str(tmp_path / 'iter_1.pth')
        assert meta == dict(iter=0)

    @pytest.mark.parametrize('fault', ['truncated', 'missing', 'empty'])
    def test_a_broken_one_falls_back_with_a_warning(
        self, tmp_path, fault, mm_log
    ):
        names = ['iter_1.pth', 'iter_2.pth', 'best_x_iter_3.pth']
        self.write(tmp_path, *names, last='iter_3.pth')
        newest = tmp_path / 'iter_3.pth'
        if fault == 'truncated':
            whole = (tmp_path / 'iter_2.pth').read_bytes()
            newest.write_bytes(whole[:-20])
        elif fault == 'empty':
            newest.touch()
        path, _ = latest_checkpoint(str(tmp_path))
        assert path == str(tmp_path / 'iter_2.pth')
        log = mm_log()
        assert 'iter_3.pth' in log
        assert 'trying the one before' in log

    def test_without_last_checkpoint_the_newest(self, tmp_path):
        self.write(tmp_path, 'epoch_9.pth', 'epoch_10.pth')
        path, _ = latest_checkpoint(str(tmp_path))
        assert path == str(tmp_path / 'epoch_10.pth')

    def test_an_empty_last_checkpoint_is_as_none(self, tmp_path):
        self.write(tmp_path, 'iter_5.pth')
        (tmp_path / 'last_checkpoint').touch()
        assert latest_checkpoint(str(tmp_path))[0].endswith('iter_5.pth')

    def test_none_at_all(self, tmp_path):
        assert latest_checkpoint(str(tmp_path)) is None
        assert latest_checkpoint(str(tmp_path / 'no folder')) is None

    def test_none_that_can_be_used(self, tmp_path):
        (tmp_path / 'iter_1.pth').write_bytes(b'nonsense')
        with pytest.raises(UsageError, match='none of the checkpoints'):
            latest_checkpoint(str(tmp_path))
