"""Names of types that another project has given to its own classes."""

import sys

import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS, OPTIM_WRAPPERS

from mmamp.config import enable_amp
from mmamp.config.hooks import HOOKS as LAUNCHER_HOOKS
from mmamp.config.hooks import add_hooks
from mmamp.config.own_class import own_class

REGISTRY = """
from mmengine import registry
from mmengine.hooks import CheckpointHook as Stock, Hook
from mmengine.optim import OptimWrapper as Plain
from mmengine.registry import Registry

HOOKS = Registry('hook', parent=registry.HOOKS, scope='{name}')
OPTIM_WRAPPERS = Registry(
    'optim_wrapper', parent=registry.OPTIM_WRAPPERS, scope='{name}')

@HOOKS.register_module()
class CheckpointHook(Stock):
    pass

@HOOKS.register_module()
class StateHook(Hook):
    pass

@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(Plain):
    pass
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """An installed project; its scope."""
    name = f'theirs_{tmp_path.name}'
    (tmp_path / name).mkdir()
    (tmp_path / name / '__init__.py').touch()
    (tmp_path / name / 'registry.py').write_text(REGISTRY.format(name=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(f'{name}.registry', None)
    for registry in (HOOKS, OPTIM_WRAPPERS):
        registry.children.pop(name, None)


def test_by_scope_or_default_scope(theirs):
    for name, scope in (
        ('CheckpointHook', theirs),
        (f'{theirs}.CheckpointHook', 'mmamp'),
    ):
        assert own_class(HOOKS, name, scope).__module__ == f'{theirs}.registry'


@pytest.mark.parametrize(
    ('name', 'scope'),
    [
        ('EMAHook', 'theirs'),  # MMEngine's, found through theirs
        ('mmengine.CheckpointHook', 'theirs'),
        ('CheckpointHook', None),
        ('CheckpointHook', 'mmengine'),
        ('StateHook', 'mmamp'),
        ('CheckpointHook', 'not_installed'),
        ('not_installed.hooks.CheckpointHook', None),
    ],
)
def test_mmengines_and_mmamps_are_not(theirs, name, scope):
    scope = theirs if scope == 'theirs' else scope
    assert own_class(HOOKS, name, scope) is None


def test_amp_refuses_their_wrapper_by_its_full_name(theirs):
    sgd = dict(type='SGD', lr=0.1)
    cfg = Config(
        dict(
            default_scope=theirs,
            optim_wrapper=dict(type='AmpOptimWrapper', optimizer=sgd),
        )
    )
    with pytest.raises(ValueError, match=rf'{theirs}\.registry\.AmpOptimWr'):
        enable_amp(cfg)
    cfg.optim_wrapper.type = 'OptimWrapper'
    assert enable_amp(cfg).optim_wrapper.type == 'mmamp.AmpOptimWrapper'


def test_their_hooks_stay_and_count_for_no_other(theirs, mm_log):
    cfg = Config(
        dict(
            default_scope=theirs,
            default_hooks=dict(checkpoint=dict(type='CheckpointHook')),
            custom_hooks=[dict(type='StateHook')],
        )
    )
    add_hooks(cfg)
    assert cfg.default_hooks.checkpoint.type == 'CheckpointHook'
    assert 'checkpoint: CheckpointHook ->' not in mm_log()
    kinds = [hook['type'] for hook in cfg.custom_hooks]
    assert kinds == ['StateHook', *(f'mmamp.{x}' for x in LAUNCHER_HOOKS)]
    # Nor is theirs meant where the config has none.
    del cfg.default_hooks.checkpoint
    add_hooks(cfg)
    assert 'checkpoint' not in cfg.default_hooks
