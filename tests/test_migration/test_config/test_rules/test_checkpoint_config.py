"""``checkpoint_config`` becomes ``default_hooks.checkpoint``."""

import pytest


def test_of_iterations(check):
    check(
        """
        train_cfg = dict(by_epoch=False, max_iters=100)
        # Not too many.
        checkpoint_config = dict(interval=10, max_keep_ckpts=2)  # at most
        """,
        """
        train_cfg = dict(by_epoch=False, max_iters=100)
        # Not too many.
        # at most
        default_hooks = dict(
            checkpoint=dict(
                type='CheckpointHook',
                interval=10,
                max_keep_ckpts=2,
                by_epoch=False))
        """,
    )


def test_of_epochs(check):
    check(
        """
        train_cfg = dict(by_epoch=True, max_epochs=5)
        checkpoint_config = dict(interval=1)
        """,
        """
        train_cfg = dict(by_epoch=True, max_epochs=5)
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))
        """,
    )


def test_a_part_of_a_base(check):
    check(
        """
        _base_ = './base.py'
        checkpoint_config = dict(interval=20)
        """,
        """
        _base_ = './base.py'
        default_hooks = dict(checkpoint=dict(interval=20))
        """,
        base="""
        total_iters = 100
        checkpoint_config = dict(interval=10, by_epoch=False)
        """,
    )


@pytest.mark.parametrize(
    'base',
    [
        'checkpoint_config = dict(interval=10)\n',
        'default_hooks = dict(checkpoint=dict(\n'
        "    type='CheckpointHook', interval=10))\n",
    ],
)
def test_a_child_counts_what_its_own_run_counts(check, base):
    check(
        """
        _base_ = './base.py'
        checkpoint_config = dict(interval=20)
        train_cfg = dict(by_epoch=False, max_iters=40)
        """,
        """
        _base_ = './base.py'
        default_hooks = dict(checkpoint=dict(interval=20, by_epoch=False))
        train_cfg = dict(by_epoch=False, max_iters=40)
        """,
        base=base,
    )


def test_no_checkpoints_stays_none(check):
    check(
        'checkpoint_config = None\n', 'default_hooks = dict(checkpoint=None)\n'
    )


def test_what_has_no_counterpart_is_dropped_aloud(check):
    told = check(
        'checkpoint_config = dict(interval=1, create_symlink=False)\n',
        'default_hooks = dict(checkpoint='
        "dict(type='CheckpointHook', interval=1))\n",
    )
    assert 'create_symlink is dropped' in told.said('changed')[0]


def test_what_cannot_be_read_stays(migrated):
    before = 'checkpoint_config = make()\n'
    assert migrated.after(before).endswith(before)
    assert 'not a dict' in migrated.said('todo')[0]


def test_a_config_of_1x_stays(migrated):
    before = "default_hooks = dict(checkpoint=dict(type='CheckpointHook'))\n"
    assert migrated.after(before) == before
    assert not migrated.result.findings
