"""What toolboxes call things, and what a migration is for."""

import pytest

from mmamp.migration.code import migrate_code
from mmamp.migration.config import migrate_config
from mmamp.migration.findings import Outcome
from mmamp.migration.project import Project
from mmamp.migration.toolboxes import (
    BUILT_ON,
    CONSTRUCTORS,
    GONE,
    HOOKS,
    PACKAGES,
    listed,
    named,
)

STAGE = 'LearningRateDecayOptimizerConstructor'
LAYER = 'LayerDecayOptimizerConstructor'


@pytest.fixture
def migrated(tmp_path):
    def migrate(constructor, head='', target='', classes=()):
        path = tmp_path / 'config.py'
        path.write_text(
            f"{head}\noptimizer = dict(type='AdamW', lr=1e-4, "
            f"constructor='{constructor}')\n"
        )
        known = dict.fromkeys(classes, ())
        return migrate_config(path, Project(target, classes=known))

    return migrate


@pytest.fixture
def hooked(tmp_path):
    def migrate(hook, target='', classes=()):
        path = tmp_path / 'config.py'
        path.write_text(
            f"optimizer = dict(type='SGD', lr=1)\n"
            f'custom_hooks = [dict({hook})]\n'
        )
        known = dict.fromkeys(classes, ())
        return migrate_config(path, Project(target, classes=known))

    return migrate


@pytest.mark.parametrize(
    ('old', 'target', 'new'),
    [
        (STAGE, 'mmdet', STAGE),
        (STAGE, 'mmseg', STAGE),
        (STAGE, 'mmaction2', STAGE),
        (STAGE, 'mmpretrain', 'LearningRateDecayOptimWrapperConstructor'),
        (LAYER, 'mmseg', LAYER),
        (LAYER, 'mmpose', 'LayerDecayOptimWrapperConstructor'),
        ('TSMOptimizerConstructor', 'mmaction2', 'TSMOptimWrapperConstructor'),
        (f'mmdet.{STAGE}', 'mmdet', f'mmdet.{STAGE}'),
        ('MyOptimizerConstructor', 'mmdet', 'MyOptimizerConstructor'),
        (STAGE, 'mmrotate', f'mmdet.{STAGE}'),
        (STAGE, 'mmdet3d', f'mmdet.{STAGE}'),
        (STAGE, 'mmamp', STAGE),
        (STAGE, '', STAGE),
        ('MyOptimizerConstructor', '', 'MyOptimizerConstructor'),
    ],
)
def test_constructors(migrated, old, target, new):
    result = migrated(old, target=target)
    assert f"constructor='{new}'" in result.after
    assert not result.of(Outcome.TODO)
    is_known = bool(named(CONSTRUCTORS, old.rpartition('.')[2], target))
    assert bool(result.of(Outcome.OUTSIDE)) != (is_known and target != '')


@pytest.mark.parametrize(
    'head',
    [
        "default_scope = 'mmpose'",
        "custom_imports = dict(imports=['mmpose.models'])",
        "custom_imports = dict(imports='mmpose')",
    ],
)
def test_the_target_is_found(migrated, head):
    after = migrated(LAYER, head).after
    assert "constructor='LayerDecayOptimWrapperConstructor'" in after
    after = migrated(LAYER, head, target='mmseg').after
    assert f"constructor='{LAYER}'" in after


def test_names_that_differ_are_told(migrated):
    (found,) = migrated(STAGE).of(Outcome.OUTSIDE)
    assert f'{STAGE} in mmdet 3.3' in found.reason
    assert 'OptimWrapperConstructor in mmpretrain 1.2' in found.reason
    assert '--target' in found.reason


def test_a_class_of_the_project_keeps_its_name(migrated):
    name = 'DefaultOptimizerConstructor'
    assert name not in migrated(name).after
    result = migrated(name, classes=[name])
    assert f"constructor='{name}'" in result.after
    result = migrated(LAYER, target='mmpose', classes=[LAYER])
    assert f"constructor='{LAYER}'" in result.after
    assert not result.of(Outcome.OUTSIDE)


@pytest.mark.parametrize('target', PACKAGES)
def test_modules_take_the_registries_of_the_target(tmp_path, target):
    text = (
        'from mmcv.cnn import NORM_LAYERS\n'
        'from mmcv.runner import HOOKS\n'
        'from mmdet.models.builder import BACKBONES, build_head\n\n\n'
        '@BACKBONES.register_module()\nclass A:\n'
        '    def __init__(self, cfg):\n        self.head = build_head(cfg)\n'
        '        NORM_LAYERS.get(cfg)\n        HOOKS.get(cfg)\n'
    )
    result = migrate_code(text, tmp_path / 'a.py', Project(target))
    package = {'mmaction2': 'mmaction'}.get(target, target)
    assert f'from {package}.registry import' in result.after
    assert 'MODELS.build(cfg)' in result.after
    assert package == 'mmamp' or 'mmamp' not in result.after


@pytest.mark.parametrize(
    ('old', 'target', 'new'),
    [
        ('NumClassCheckHook', 'mmdet', 'NumClassCheckHook'),
        ('NumClassCheckHook', 'mmrotate', 'mmdet.NumClassCheckHook'),
        ('mmdet.SetEpochInfoHook', 'mmdet3d', 'mmdet.SetEpochInfoHook'),
        ('CheckInvalidLossHook', '', 'CheckInvalidLossHook'),
        ('YOLOXModeSwitchHook', 'mmtrack', 'YOLOXModeSwitchHook'),
        ('EMAHook', 'mmrotate', 'EMAHook'),
        ('LiteFlowNetStageLoadHook', 'mmflow', 'LiteFlowNetStageLoadHook'),
    ],
)
def test_hooks(hooked, old, target, new):
    result = hooked(f"type='{old}', interval=7", target)
    assert f"dict(type='{new}', interval=7)" in result.after
    assert not result.of(Outcome.TODO)
    assert bool(result.of(Outcome.OUTSIDE)) == (not target)


def test_arguments_that_a_hook_takes_no_more(hooked):
    result = hooked("type='SyncNormHook', num_last_epochs=15", 'mmrotate')
    assert "dict(type='mmdet.SyncNormHook')" in result.after
    (said,) = result.of(Outcome.WARNED)
    assert 'num_last_epochs' in said.reason


@pytest.mark.parametrize('old', GONE)
def test_hooks_that_are_gone(hooked, old):
    result = hooked(f"type='{old}', interval=7", 'mmdet')
    (said,) = result.of(Outcome.TODO)
    assert said.reason == f'{old}: {GONE[old]}'
    assert f"dict(type='{old}', interval=7)" in result.after


@pytest.mark.parametrize('old', ['SyncRandomSizeHook', 'SyncNormHook'])
def test_a_hook_of_the_project(hooked, old):
    hook = f"type='{old}', num_last_epochs=15"
    result = hooked(hook, 'mmdet', classes=[old])
    assert f'dict({hook})' in result.after
    assert not result.of(Outcome.TODO) + result.of(Outcome.WARNED)


def test_every_row_is_said_once():
    for rows in (CONSTRUCTORS, HOOKS):
        pairs = [(x.toolbox, x.old) for x in rows]
        assert len(pairs) == len(set(pairs))
        assert all(x.version and x.new for x in rows)
    assert {*BUILT_ON, *BUILT_ON.values()} <= {*PACKAGES}
    assert not {*GONE} & {x.old for x in HOOKS}
    assert listed(named(HOOKS, 'SyncNormHook')) == (
        'SyncNormHook in mmdet 3.3, SyncNormHook in mmpose 1.3'
    )
