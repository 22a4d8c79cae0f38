"""Checkpoints: what may be in them, and what must not run."""

import builtins
import contextlib
import functools
import os
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, Runner

from mmamp.checkpoint.latest import check_checkpoint
from mmamp.checkpoint.safe_load import load_by_backend, load_safely_only
from mmamp.checkpoint.storage import Storage
from mmamp.errors import UsageError


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


class _Item:
    """What a dataset of the user's keeps."""


@contextlib.contextmanager
def _serving(folder):
    """A web server over a folder; yields its URL."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


class TestHostile:
    def test_a_command_does_not_run(self, tmp_path):
        marker, path = tmp_path / 'ran', tmp_path / 'evil.pth'
        torch.save(dict(state_dict={}, meta=_System(marker)), path)
        load_safely_only()
        with pytest.raises(UsageError, match=r'GLOBAL posix.system'):
            check_checkpoint(str(path))
        with pytest.raises(UsageError, match=r'GLOBAL posix.system'):
            CheckpointLoader.load_checkpoint(str(path))
        assert not marker.exists()

    def test_from_a_web_server_too(self, tmp_path, monkeypatch):
        """Whose files MMEngine's own loader fetches, and keeps."""
        marker = tmp_path / 'ran'
        torch.save(
            dict(state_dict={}, meta=_System(marker)), tmp_path / 'evil.pth'
        )
        monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
        load_safely_only()
        with _serving(tmp_path) as url:
            with pytest.raises(UsageError, match=r'GLOBAL posix.system'):
                CheckpointLoader.load_checkpoint(f'{url}/evil.pth')
            with pytest.raises(UsageError, match=r'GLOBAL posix.system'):
                check_checkpoint(f'{url}/evil.pth')
            with pytest.raises(UsageError, match='HTTP Error 404'):
                check_checkpoint(f'{url}/nothing.pth')
        assert not marker.exists()

    def test_what_mmengine_finds_by_name_stays(self):
        load_safely_only()
        before = dict(CheckpointLoader._schemes)
        for path in ('torchvision://resnet18', 'https://a/b.pth', 'b.pth'):
            load_by_backend(path, Storage())
        assert before == CheckpointLoader._schemes

    def test_calls_of_others_are_theirs(self, tmp_path, monkeypatch):
        """A dataset's own pickles, here and in processes that it starts."""
        path = tmp_path / 'list.pth'
        torch.save([_Item()], path)
        weights = tmp_path / 'weights.pth'
        torch.save(dict(state_dict={}), weights)
        before = dict(os.environ)
        load_safely_only()
        CheckpointLoader.load_checkpoint(str(weights))
        assert isinstance(torch.load(path, weights_only=False)[0], _Item)
        assert dict(os.environ) == before

    def test_whatever_the_environment_says(self, tmp_path, monkeypatch):
        marker, path = tmp_path / 'ran', tmp_path / 'evil.pth'
        torch.save(dict(state_dict={}, meta=_System(marker)), path)
        monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
        load_safely_only()
        for read in (check_checkpoint, CheckpointLoader.load_checkpoint):
            with pytest.raises(UsageError, match=r'GLOBAL posix.system'):
                read(str(path))
        assert os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] == '1'
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
