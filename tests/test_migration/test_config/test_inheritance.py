"""Files of both versions on top of each other."""

import textwrap

import pytest
from mmengine.config import Config

from mmamp.migration.config import migrate_config

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
