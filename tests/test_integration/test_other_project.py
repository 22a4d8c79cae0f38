"""mmamp from another MMEngine project, which is installed and knows nothing.

The project is ``tests/other_project``: of its own scope, with text configs and
pure-Python ones, one optimizer and two.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
CONFIGS = ['classifier', 'gan', 'lazy_classifier', 'lazy_gan']
# Where each is half done.
HALF = dict(
    classifier='train_cfg.max_epochs=1', lazy_gan='train_cfg.max_iters=4'
)


@pytest.fixture(scope='session')
def site(tmp_path_factory):
    """The folder that pip has installed the project into."""
    folder = tmp_path_factory.mktemp('other')
    # pip would build it in its place.
    shutil.copytree(ROOT / 'tests/other_project', folder / 'source')
    command = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps']
    command += ['--no-build-isolation', '--target', folder / 'site']
    subprocess.run([*command, folder / 'source'], check=True)
    return folder / 'site'


@pytest.fixture
def run(site, environment, tmp_path, python):
    """``run('tools/train.py', CONFIG, ...)``: exit code and all it said."""

    def start(script, *args, code=0):
        where = ['-m', script] if script[:8] == 'minidet.' else [ROOT / script]
        # The one place that runs tools/test.py as users do.
        is_test = script == 'tools/test.py'
        interpreter = sys.executable if is_test else python
        command = [interpreter, '-W', 'ignore', *where, *args]
        if script.endswith('.sh'):
            command = ['bash', *where, *args]
        result = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(site),
        )
        output = result.stdout + result.stderr
        assert result.returncode == code, output
        return output

    return start


@pytest.fixture
def config_of(site):
    """``config_of('gan')``: path of a config as it was installed."""
    return lambda name: site / f'minidet/configs/{name}.py'


def weights(work_dir):
    path = Path((work_dir / 'last_checkpoint').read_text())
    return torch.load(path, weights_only=True)['state_dict']


def assert_equal(first, second):
    a, b = weights(first), weights(second)
    assert list(a) == list(b)
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


def scalars(work_dir):
    (file,) = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in file.read_text().splitlines()]


class TestLauncher:
    """mmamp's ``tools/train.py``, their config as it is."""

    @pytest.mark.parametrize('name', CONFIGS)
    def test_amp(self, run, config_of, tmp_path, name):
        amp = ['--amp', '--work-dir']
        log = run('tools/train.py', config_of(name), *amp, tmp_path / 'a')
        networks = ['optim_wrapper']
        if 'gan' in name:
            networks = ['generator', 'discriminator']
        for network in networks:
            line = rf'    {network}: \S*OptimWrapper \(float32\) -> mmamp\.'
            assert re.search(line, log)
        assert (
            log.count('    precision: bfloat16 on cpu, no loss scale\n') == 1
        )
        # The child registries that their project does not need.
        assert 'Failed to search registry' not in log
        for mode in ('train', 'eval'):
            assert re.search(rf'\S+ in {mode}: torch\.bfloat16\n', log)
        key = 'discriminator.grad_norm' if 'gan' in name else 'grad_norm'
        assert any(line.get(key, 0) > 0 for line in scalars(tmp_path / 'a'))

        # The config that it dumped needs no --amp.
        dumped = tmp_path / 'a' / f'{name}.py'
        run('tools/train.py', dumped, '--work-dir', tmp_path / 'b')
        assert_equal(tmp_path / 'a', tmp_path / 'b')

    @pytest.mark.slow
    @pytest.mark.parametrize('name', HALF)
    def test_resumes_exactly_and_is_tested(
        self, run, config_of, tmp_path, name
    ):
        args = [config_of(name), '--amp', '--work-dir']
        run('tools/train.py', *args, tmp_path / 'a')
        half = ['--cfg-options', HALF[name]]
        run('tools/train.py', *args, tmp_path / 'b', *half)
        log = run('tools/train.py', *args, tmp_path / 'b', '--resume')
        assert 'resumed epoch' in log
        assert_equal(tmp_path / 'a', tmp_path / 'b')

        log = run(
            'tools/test.py',
            *[config_of(name), tmp_path / 'b', '--amp'],
            *['--work-dir', tmp_path / 'tested'],
        )
        assert 'Test runs in: bfloat16 on cpu' in log
        metric = 'brightness' if 'gan' in name else 'top1'
        assert re.search(rf'{metric}\W+-?[\d.]+', log)

    def test_overflow_names_their_module(self, run, config_of, tmp_path):
        log = run(
            'tools/train.py',
            *[config_of('classifier'), '--amp', '--amp-dtype', 'float16'],
            *['--work-dir', tmp_path, '--loss-scale', '1', '--cfg-options'],
            *['model.factor=1e6', 'train_cfg.max_epochs=20'],
            code=3,
        )
        assert "'neck' (Overflowing) overflows" in log
        assert "pattern='neck'" in log

    def test_their_own_of_the_same_name(self, run, config_of, tmp_path):
        args = [config_of('classifier'), '--amp', '--work-dir', tmp_path]
        args += ['--cfg-options', 'default_hooks.checkpoint.type=']
        args[-1] += 'CheckpointHook'
        assert "minidet's CheckpointHook was here" in run(
            'tools/train.py', *args
        )
        args[-1] = 'optim_wrapper.type=AmpOptimWrapper'
        line = run('tools/train.py', *args, code=2).splitlines()[-1]
        assert 'minidet.engine.wrappers.AmpOptimWrapper' in line

    @pytest.mark.slow
    @pytest.mark.ranks
    def test_in_two_ranks(self, run, config_of, tmp_path):
        args = [config_of('gan'), '2', '--amp', '--work-dir', tmp_path]
        log = run('tools/dist_train.sh', *args)
        assert 'SeparateDistributedDataParallel' in log
        assert 'precision: bfloat16 on cpu' in log
        assert weights(tmp_path)


TEXT_SINGLE = """
_base_ = '{name}.py'
custom_imports = dict(imports=['mmamp'])
optim_wrapper = dict(type='mmamp.AmpOptimWrapper', accumulative_counts=2)
"""
TEXT_MULTI = """
_base_ = '{name}.py'
custom_imports = dict(imports=['mmamp'])
optim_wrapper = dict(
    constructor='mmamp.OptimWrapperConstructor',
    generator=dict(type='mmamp.AmpOptimWrapper'),
    discriminator=dict(type='mmamp.AmpOptimWrapper'))
"""
TEXT_HOOKS = """
default_hooks = dict(checkpoint=dict(type='mmamp.CheckpointHook'))
custom_hooks = [
    dict(type='DtypeHook', module={module!r}),
    dict(type='DtypeHook', module={island!r}),
    dict(type='mmamp.AmpMonitorHook'),
    dict(type='mmamp.OverflowHook'),
    dict(type='mmamp.StateHook'),
    dict(type='mmamp.PreemptionHook'),
    dict(type='mmamp.EMAHook'),
    dict(type='mmamp.PrecisionHook', rules=[
        'normalisation', dict(pattern={island!r}, dtype='float32')])]
"""
LAZY_SINGLE = """
from mmengine.config import read_base

with read_base():
    from .lazy_classifier import *

from mmamp import AmpOptimWrapper

optim_wrapper.update(type=AmpOptimWrapper, accumulative_counts=2)
"""
LAZY_MULTI = """
from mmengine.config import read_base

with read_base():
    from .lazy_gan import *

from mmamp import AmpOptimWrapper, OptimWrapperConstructor

optim_wrapper.update(constructor=OptimWrapperConstructor)
for network in ('generator', 'discriminator'):
    optim_wrapper[network].update(type=AmpOptimWrapper)
del network
"""
LAZY_HOOKS = """
from mmamp.engine.hooks import (
    AmpMonitorHook, CheckpointHook, EMAHook, OverflowHook, PrecisionHook,
    PreemptionHook, StateHook)

default_hooks['checkpoint'].update(type=CheckpointHook)
custom_hooks += [
    dict(type=DtypeHook, module={island!r}),
    dict(type=AmpMonitorHook),
    dict(type=OverflowHook),
    dict(type=StateHook),
    dict(type=PreemptionHook),
    dict(type=EMAHook),
    dict(type=PrecisionHook, rules=[
        'normalisation', dict(pattern={island!r}, dtype='float32')])]
"""
# In the dtype of training, and in float32 by a rule.
MODULES = dict(
    classifier=('head.2', 'backbone.0'), gan=('generator.0', 'discriminator.0')
)


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('classifier', TEXT_SINGLE + TEXT_HOOKS),
        ('gan', TEXT_MULTI + TEXT_HOOKS),
        ('classifier', LAZY_SINGLE + LAZY_HOOKS),
        ('gan', LAZY_MULTI + LAZY_HOOKS),
    ],
)
def test_their_own_launcher(run, site, tmp_path, name, text):
    """mmamp's types in their config; none of mmamp's models is imported."""
    module, island = MODULES[name]
    shutil.copytree(site / 'minidet/configs', tmp_path / 'configs')
    config = tmp_path / 'configs/own.py'
    config.write_text(text.format(name=name, module=module, island=island))
    log = run('minidet.train', config, tmp_path / 'run')
    assert f'{module} in train: torch.bfloat16\n' in log
    assert f'{island} in train: torch.float32\n' in log
    key = 'discriminator.grad_norm' if name == 'gan' else 'grad_norm'
    assert any(line.get(key, 0) > 0 for line in scalars(tmp_path / 'run'))
    assert weights(tmp_path / 'run')
    imported = log.rpartition('imported:')[2].split()
    assert 'mmamp.engine.optimizers.amp_optim_wrapper' in imported
    for own in ('models', 'datasets', 'evaluation'):
        assert f'mmamp.{own}' not in imported
