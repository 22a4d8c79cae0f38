"""mmamp among other packages: registries, imports, a missing host."""

import subprocess
import sys

import pytest
import torch
from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from torch import nn

import mmamp
from mmamp import registry


def run(code, cwd, python=sys.executable):
    return subprocess.run(
        [python, '-c', code], capture_output=True, text=True, cwd=cwd
    )


@pytest.mark.parametrize('name', registry.__all__)
def test_each_is_a_child_of_mmengines(name):
    child = getattr(registry, name)
    assert child.scope == 'mmamp'
    assert child.parent is getattr(mmengine_registry, name)


def test_public_names():
    for name in mmamp.__all__:
        assert hasattr(mmamp, name)


FOREIGN = """
from mmengine.config import Config
from mmengine.registry import Registry, MODELS, OPTIM_WRAPPERS
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings
import torch.nn as nn
import sys

cfg = Config(dict(
    default_scope='theirs',
    custom_imports=dict(imports=['mmamp']),
    optim_wrapper=dict(
        constructor='mmamp.OptimWrapperConstructor',
        a=dict(type='mmamp.AmpOptimWrapper',
               optimizer=dict(type='SGD', lr=0.1)),
        b=dict(optimizer=dict(type='SGD', lr=0.1)))))
import_modules_from_strings(**cfg.custom_imports)
init_default_scope(cfg.default_scope)
from mmengine.optim import build_optim_wrapper
model = nn.ModuleDict(dict(a=nn.Linear(1, 1), b=nn.Linear(1, 1)))
wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
print(type(wrapper['a']).__module__, type(wrapper['b']).__module__)
"""


def test_from_another_scope(tmp_path, python):
    (tmp_path / 'theirs').mkdir()
    (tmp_path / 'theirs/__init__.py').write_text('')
    (tmp_path / 'theirs/registry.py').write_text(
        'from mmengine.registry import Registry, MODELS as M\n'
        "MODELS = Registry('model', parent=M, scope='theirs')\n"
    )
    result = run(FOREIGN, tmp_path, python)
    assert result.returncode == 0, result.stderr
    assert 'mmamp.engine.optimizers.amp_optim_wrapper' in result.stdout
    assert 'mmengine.optim' in result.stdout


@pytest.mark.parametrize('missing', ['mmengine', 'mmcv', 'torch'])
def test_without_a_host_one_line_says_what_to_install(tmp_path, missing):
    code = f'import sys; sys.modules[{missing!r}] = None; import mmamp'
    result = run(code, tmp_path)
    assert result.returncode == 1
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith('ImportError: mmamp needs ')
    assert 'pip install' in line
    # No chain of tracebacks behind it.
    assert result.stderr.count('Traceback') == 1


def test_an_old_mmengine_is_named(tmp_path):
    code = "import mmengine; mmengine.__version__ = '0.10.3'\nimport mmamp"
    line = run(code, tmp_path).stderr.strip().splitlines()[-1]
    assert 'mmengine >= 0.10.7, but 0.10.3 is installed' in line


LAZY = """
import sys
import mmamp
from mmengine import registry
from mmengine.registry import init_default_scope

def own():
    names = ('models', 'datasets', 'evaluation')
    return [x for x in names if f'mmamp.{x}' in sys.modules]

for name in ('AmpMonitorHook', 'CheckpointHook', 'EMAHook', 'PrecisionHook'):
    assert registry.HOOKS.get(f'mmamp.{name}')
assert registry.OPTIM_WRAPPERS.get('mmamp.AmpOptimWrapper')
assert not own(), own()
"""


@pytest.mark.parametrize(
    ('statement', 'imported'),
    [
        ('pass', ''),
        ("assert registry.MODELS.get('mmamp.ImageGAN')", 'models'),
        ("assert registry.MODELS.get('mmamp.InceptionV3')", 'evaluation'),
        ("assert registry.METRICS.get('mmamp.SWD')", 'evaluation'),
        ("assert registry.DATASETS.get('mmamp.DigitsDataset')", 'datasets'),
        (
            "init_default_scope('mmamp'); "
            "assert registry.TRANSFORMS.get('mmamp.PackImage')",
            'datasets',
        ),
        ('mmamp.ImageGAN', 'models'),
        ('from mmamp import BaseGAN', 'models'),
        ('from mmamp import *; ImageGAN', 'models'),
    ],
)
def test_own_models_and_data_are_imported_when_named(
    tmp_path, python, statement, imported
):
    result = run(f'{LAZY}\n{statement}\nprint(own())', tmp_path, python)
    assert result.returncode == 0, result.stderr
    assert imported in result.stdout
    assert (result.stdout.strip() == '[]') == (not imported)


def test_a_name_that_there_is_not():
    with pytest.raises(AttributeError, match="'mmamp' has no attribute 'GAN'"):
        mmamp.GAN  # noqa: B018


def test_children_win_under_their_own_scope():
    init_default_scope('mmamp')
    wrapper = mmengine_registry.OPTIM_WRAPPERS.build(
        Config(
            dict(
                w=dict(
                    type='AmpOptimWrapper',
                    optimizer=torch.optim.SGD(
                        nn.Linear(1, 1).parameters(), lr=0.1
                    ),
                )
            )
        ).w
    )
    assert type(wrapper) is mmamp.AmpOptimWrapper
    assert DefaultScope.get_current_instance().scope_name == 'mmamp'
