"""Files of both versions on top of each other."""

import textwrap

import pytest
from mmengine.config import Config

from mmamp.migration.config import migrate_config, migrate_configs
from mmamp.migration.findings import Outcome

FILES = {
    'schedule.py': """
        optimizer = dict(type='SGD', lr=1.0, momentum=0.9)
        optimizer_config = dict(grad_clip=dict(max_norm=35))
        runner = dict(type='EpochBasedRunner', max_epochs=12)
    """,
    'model.py': """
        model = dict(type='Net', layers=[1, 2])
        train_cfg = dict(disc_steps=1, batch_accumulation_steps=1, use=True)
    """,
    'parent.py': """
        _base_ = ['schedule.py', 'model.py']
        runner = dict(max_epochs=24)
        fp16 = dict(loss_scale=512.)
    """,
    'child.py': """
        _base_ = 'parent.py'
        optimizer = dict(lr=2.0)
        train_cfg = dict(disc_steps=3)
        optimizer_config = dict(_delete_=True, grad_clip=None)
    """,
}
EXPECTED = dict(
    optim_wrapper=dict(
        type='mmamp.AmpOptimWrapper',
        optimizer=dict(type='SGD', lr=2.0, momentum=0.9),
        loss_scale=512.0,
    ),
    train_cfg=dict(by_epoch=True, max_epochs=24),
    model=dict(
        type='Net',
        layers=[1, 2],
        discriminator_steps=3,
        train_cfg=dict(use=True),
    ),
)


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    return tmp_path


def loaded(folder):
    cfg = Config.fromfile(
        folder / 'child.py', import_custom_modules=False
    ).to_dict()
    found = {name: cfg[name] for name in EXPECTED}
    if found['optim_wrapper'].get('clip_grad', 0) is None:
        # Which is what a wrapper has without.
        del found['optim_wrapper']['clip_grad']
    return found


@pytest.mark.parametrize(
    'order',
    [
        ['schedule.py', 'model.py', 'parent.py', 'child.py'],
        ['child.py', 'parent.py', 'model.py', 'schedule.py'],
        ['parent.py', 'schedule.py', 'child.py', 'model.py'],
    ],
)
def test_in_any_order(folder, order):
    for name in order:
        path = folder / name
        path.write_text(migrate_config(path).after)
    assert loaded(folder) == EXPECTED
    for name in order:
        path = folder / name
        assert migrate_config(path).after == path.read_text()


def test_all_from_what_they_were(folder):
    after = {name: migrate_config(folder / name).after for name in FILES}
    for name, text in after.items():
        (folder / name).write_text(text)
    assert loaded(folder) == EXPECTED


def test_a_base_that_is_not_there_is_named(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("x = 1\n_base_ = ['nowhere.py']\ntotal_iters = 3\n")
    result = migrate_config(path)
    (finding,) = (x for x in result.findings if x.outcome.name == 'TODO')
    assert "'nowhere.py'" in finding.reason
    assert finding.line == 2
    assert 'max_iters=3' in result.after
    assert "# TODO(mmamp migrate): the base 'nowhere.py'" in result.after


def test_a_file_that_is_its_own_base(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("_base_ = './config.py'\ntotal_iters = 3\n")
    assert 'max_iters=3' in migrate_config(path).after


def test_two_bases_that_set_the_same_now_are_named(tmp_path):
    (tmp_path / 'c.py').write_text('total_iters = 1\n')
    (tmp_path / 'd.py').write_text('train_cfg = dict(by_epoch=False)\n')
    path = tmp_path / 'config.py'
    path.write_text("_base_ = ['c.py', 'd.py']\nx = 1\n")
    (finding,) = migrate_config(path).findings
    assert "train_cfg of the base 'd.py'" in finding.reason


def test_what_only_a_base_had_is_taken_back(tmp_path):
    (tmp_path / 'base.py').write_text(
        "optimizer = dict(type='SGD', lr=1)\n"
        "lr_config = dict(policy='step', step=[8, 11])\n"
        "runner = dict(type='EpochBasedRunner', max_epochs=12)\n"
        'evaluation = dict(interval=2)\n'
    )
    path = tmp_path / 'config.py'
    path.write_text(
        "_base_ = 'base.py'\nlr_config = None\nevaluation = None\n"
    )
    for name in ('base.py', 'config.py'):
        file = tmp_path / name
        file.write_text(migrate_config(file).after)
    cfg = Config.fromfile(path)
    assert not cfg.param_scheduler
    assert cfg.val_cfg is None


def test_a_value_of_a_base_that_has_moved_is_named(tmp_path):
    (tmp_path / 'base.py').write_text(
        "optimizer = dict(type='SGD', lr=0.1)\nwidth = 3\n"
    )
    path = tmp_path / 'config.py'
    path.write_text(
        "_base_ = 'base.py'\n"
        'optimizer = dict(lr={{_base_.optimizer.lr}})\n'
        'size = {{_base_.width}}\n'
    )
    (finding,) = (
        x for x in migrate_config(path).findings if x.outcome.name == 'TODO'
    )
    assert '_base_.optimizer.lr' in finding.reason
    assert finding.line == 2


def test_what_cannot_be_written_is_left_and_said(tmp_path):
    (tmp_path / 'base.py').write_text('from cfgs import N\ntotal_iters = N\n')
    path = tmp_path / 'config.py'
    path.write_text(
        "_base_ = 'base.py'\n"
        "lr_config = dict(policy='CosineAnnealing', min_lr=0, by_epoch=False)\n"
    )
    result = migrate_config(path)
    assert "lr_config = dict(policy='CosineAnnealing'" in result.after
    (finding,) = (x for x in result.findings if x.outcome.name == 'TODO')
    assert finding.line == 2


def test_one_changed_under_another_name_is_left(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(
        "optimizer = dict(type='Adam', lr=1)\nopt = optimizer\nopt['lr'] = 2\n"
    )
    result = migrate_config(path)
    assert 'optim_wrapper' not in result.after
    assert [x.outcome.name for x in result.findings] == ['TODO']


@pytest.mark.parametrize(
    'text',
    [
        'train_cfg = None\nval_cfg = None\noptim_wrapper = None\n',
        "default_scope = 'mmdet'\nfind_unused_parameters = True\n",
        'model = dict(generator=dict(fp16_enabled=True))\nval_evaluator = []\n',
    ],
)
def test_a_config_of_1x_is_left(tmp_path, text):
    path = tmp_path / 'config.py'
    path.write_text(text)
    result = migrate_config(path)
    assert result.after == text
    assert result.findings == []


def test_a_migrated_base_is_said(tmp_path):
    (tmp_path / 'base.py').write_text(
        'optim_wrapper = dict(optimizer=dict())\n'
    )
    path = tmp_path / 'config.py'
    path.write_text("_base_ = 'base.py'\ntotal_iters = 3\n")
    (finding,) = migrate_config(path).findings
    assert finding.outcome.name == 'WARNED'
    assert 'at once' in finding.reason


def test_half_precision_that_a_child_takes_back(tmp_path):
    (tmp_path / 'base.py').write_text(
        "optimizer = dict(type='SGD', lr=1)\nfp16 = dict(loss_scale=8.)\n"
    )
    path = tmp_path / 'config.py'
    path.write_text("_base_ = 'base.py'\nfp16 = None\n")
    for name in ('base.py', 'config.py'):
        file = tmp_path / name
        file.write_text(migrate_config(file).after)
    wrapper = Config.fromfile(path, import_custom_modules=False).optim_wrapper
    assert wrapper == dict(
        type='OptimWrapper', optimizer=dict(type='SGD', lr=1)
    )


@pytest.mark.parametrize(
    'text',
    [
        "model = make('x')\ntrain_cfg = dict(disc_steps=2)\n",
        'import s\nmodel = s.model\ntrain_cfg = dict(disc_steps=2)\n',
    ],
)
def test_what_cannot_be_read_is_not_overwritten(tmp_path, text):
    path = tmp_path / 'config.py'
    path.write_text(text)
    result = migrate_config(path)
    assert 'train_cfg = dict(disc_steps=2)' in result.after
    assert text.splitlines()[-2] in result.after
    assert [x for x in result.findings if x.outcome.name == 'TODO']


def test_a_length_that_is_a_variable(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(
        'total_epochs = 12\n'
        "runner = dict(type='EpochBasedRunner', max_epochs=total_epochs)\n"
    )
    once = migrate_config(path).after
    path.write_text(once)
    assert 'max_epochs=total_epochs' in once
    assert migrate_config(path).after == once


def test_an_import_before_the_bases_goes_below_them(tmp_path):
    (tmp_path / 'base.py').write_text("optimizer = dict(type='SGD', lr=1)\n")
    path = tmp_path / 'config.py'
    path.write_text(
        "# head\nimport math\n\n# the bases\n_base_ = ['base.py']\n"
        'optimizer = dict(lr=math.pi)\n'
    )
    (base, result) = migrate_configs([tmp_path / 'base.py', path])
    assert not result.of(Outcome.TODO)
    base.path.write_text(base.after)
    path.write_text(result.after)
    assert result.after.startswith(
        "# head\n# the bases\n_base_ = ['base.py']\n\nimport math\n"
    )
    cfg = Config.fromfile(path)
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(3.14159265)


@pytest.mark.parametrize(
    'bases', ["[f'{here}/base.py']", "here + '/base.py'", '[names[0]]']
)
def test_bases_are_written_out(tmp_path, bases):
    """MMEngine evaluates the one expression alone."""
    (tmp_path / 'base.py').write_text("optimizer = dict(type='SGD', lr=1)\n")
    path = tmp_path / 'config.py'
    path.write_text(
        f"here = '.'\nnames = ['base.py']\n_base_ = {bases}\nx = 1\n"
    )
    (base, result) = migrate_configs([tmp_path / 'base.py', path])
    base.path.write_text(base.after)
    path.write_text(result.after)
    assert Config.fromfile(path).optim_wrapper.optimizer.lr == 1
    (again,) = migrate_configs([path])
    assert not again.is_changed
