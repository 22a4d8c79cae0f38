"""``runner``, ``total_iters``, ``total_epochs``."""

import pytest

GAN = """
optimizer = dict(
    generator=dict(type='Adam', lr=1), discriminator=dict(type='Adam', lr=2))
"""


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('total_iters = 100', 'by_epoch=False, max_iters=100'),
        ('total_epochs = 12', 'by_epoch=True, max_epochs=12'),
        (
            "runner = dict(type='IterBasedRunner', max_iters=100)",
            'by_epoch=False, max_iters=100',
        ),
        (
            "runner = dict(type='EpochBasedRunner', max_epochs=12)",
            'by_epoch=True, max_epochs=12',
        ),
        (
            "total_iters = 100\nrunner = dict(type='DynamicIterBasedRunner')",
            'by_epoch=False, max_iters=100',
        ),
        ('total_iters = 100\nrunner = None', 'by_epoch=False, max_iters=100'),
    ],
)
def test_the_length(check, old, new):
    check(f'{old}\n', f'train_cfg = dict({new})\n')


def test_a_child_that_runs_longer(check):
    base = "runner = dict(type='EpochBasedRunner', max_epochs=12)\n"
    for text in (base, 'train_cfg = dict(by_epoch=True, max_epochs=12)\n'):
        check(
            "_base_ = 'base.py'\nrunner = dict(max_epochs=24)\n",
            """
            _base_ = 'base.py'
            train_cfg = dict(max_epochs=24)
            """,
            base=text,
        )


def test_epochs_of_a_base_become_iterations(migrated):
    after = migrated.after(
        "_base_ = 'base.py'\n"
        "runner = dict(_delete_=True, type='IterBasedRunner', max_iters=9)\n",
        base="runner = dict(type='EpochBasedRunner', max_epochs=12)\n",
    )
    assert '_delete_=True' in after
    assert 'max_iters=9' in after
    assert 'max_epochs' not in after


def test_the_scaler_of_all_optimizers(migrated):
    after = migrated.after(
        GAN + 'total_iters = 5\n'
        "runner = dict(type='DynamicIterBasedRunner', is_dynamic_ddp=True,\n"
        '    pass_training_status=True,\n'
        '    fp16_loss_scaler=dict(init_scale=512))\n'
    )
    assert after.count("type='mmamp.AmpOptimWrapper'") == 2
    assert after.count('loss_scale=dict(init_scale=512)') == 2
    assert 'runner' not in after
    assert 'each wrapper has its own' in migrated.said('warned')[0]
    assert [x.split()[0] for x in migrated.said('changed')] == [
        'is_dynamic_ddp',
        'pass_training_status',
    ]


def test_an_unknown_runner_is_left(migrated):
    after = migrated.after("runner = dict(type='MyRunner', max_iters=3)\n")
    assert "runner = dict(type='MyRunner', max_iters=3)" in after
    assert 'MyRunner' in migrated.said('todo')[0]


def test_an_unknown_argument_is_left(migrated):
    after = migrated.after('runner = dict(max_iters=3, stages=2)\n')
    assert 'runner = dict(max_iters=3, stages=2)' in after
    assert migrated.said('todo') == ['stages: not known']


def test_comments_go_where_it_goes(check):
    check(
        """
        runner = dict(
            type='IterBasedRunner',  # by iterations
            max_iters=100)
        """,
        """
        # by iterations
        train_cfg = dict(by_epoch=False, max_iters=100)
        """,
    )


def test_a_length_that_is_set_in_a_branch_is_left(migrated):
    after = migrated.after(
        'big = True\nif big:\n    total_epochs = 5\nworkflow = None\n'
    )
    assert 'train_cfg' not in after
    assert len(migrated.said('todo')) == 1


@pytest.mark.parametrize('place', ['', 'mmdet.'])
@pytest.mark.parametrize(
    ('kind', 'length', 'loop'),
    [
        ('Epoch', 'max_epochs=36', 'by_epoch=True, max_epochs=36'),
        ('Iter', 'max_iters=9', 'by_epoch=False, max_iters=9'),
    ],
)
def test_the_runners_of_apex(migrated, place, kind, length, loop):
    line = f"runner = dict(type='{place}{kind}BasedRunnerAmp', {length})\n"
    after = migrated.after(f"optimizer = dict(type='AdamW', lr=1)\n{line}")
    assert f'train_cfg = dict({loop})' in after
    assert "type='mmamp.AmpOptimWrapper'" in after
    assert "loss_scale='dynamic'" in after
    assert not migrated.said('todo')


def test_the_runner_of_apex_in_float32(migrated):
    after = migrated.after(
        "optimizer = dict(type='AdamW', lr=1)\n"
        "optimizer_config = dict(type='DistOptimizerHook', use_fp16=False)\n"
        "runner = dict(type='EpochBasedRunnerAmp', max_epochs=36)\n"
    )
    assert "type='OptimWrapper'" in after
    assert not migrated.said('todo')


def test_the_length_of_a_runner_of_the_project(migrated):
    """A base's length would be taken otherwise."""
    base = "runner = dict(type='EpochBasedRunner', max_epochs=12)\n"
    after = migrated.after(
        "_base_ = 'base.py'\n"
        "runner = dict(type='MyEpochBasedRunner', max_epochs=36)\n",
        base=base,
    )
    assert 'train_cfg = dict(max_epochs=36)' in after
    assert 'MyEpochBasedRunner' in migrated.said('todo')[0]
    migrated.after("runner = dict(type='MyEpochBasedRunner', stages=2)\n")
    assert 'no counterpart' in migrated.said('todo')[0]
