"""``evaluation`` says when to validate and what the best is."""

import pytest


def test_of_mmediting(check):
    told = check(
        """
        train_cfg = dict(by_epoch=False, max_iters=300)
        evaluation = dict(interval=50, save_image=False, gpu_collect=True)
        """,
        """
        train_cfg = dict(by_epoch=False, max_iters=300, val_interval=50)
        val_cfg = dict(type='ValLoop')
        """,
    )
    assert any("collect_device='gpu'" in x for x in told.said('changed'))
    assert not told.said('todo')


def test_of_mmgeneration(check):
    told = check(
        """
        train_cfg = dict(by_epoch=False, max_iters=300)
        # When and what.
        evaluation = dict(
            type='GenerativeEvalHook',
            interval=dict(milestones=[200], interval=[50, 10]),
            metrics=dict(type='FID', num_images=50),  # few
            sample_kwargs=dict(sample_model='ema'))
        """,
        """
        train_cfg = dict(
            by_epoch=False,
            max_iters=300,
            val_interval=50,
            dynamic_intervals=[(200, 10)])
        # When and what.
        evaluation = dict(
            type='GenerativeEvalHook',
            metrics=dict(type='FID', num_images=50),  # few
            sample_kwargs=dict(sample_model='ema'))
        val_cfg = dict(type='ValLoop')
        """,
    )
    assert 'val_evaluator' in told.said('outside')[0]


def test_of_mmdetection(check):
    told = check(
        """
        last = 15
        train_cfg = dict(by_epoch=True, max_epochs=300)
        evaluation = dict(
            save_best='bbox_mAP',
            rule='greater',
            interval=10,
            start=5,
            dynamic_intervals=[(300 - last, 1)],
            metric='bbox')
        """,
        """
        last = 15
        train_cfg = dict(
            by_epoch=True,
            max_epochs=300,
            val_interval=10,
            dynamic_intervals=[(300 - last, 1)],
            val_begin=5)
        evaluation = dict(metric='bbox')
        val_cfg = dict(type='ValLoop')
        default_hooks = dict(checkpoint=dict(save_best='bbox_mAP', rule='greater'))
        """,
    )
    assert len(told.said('warned')) == 2


def test_each_epoch_is_what_mmengine_does(check):
    check(
        """
        train_cfg = dict(by_epoch=True, max_epochs=300)
        evaluation = dict(interval=1)
        """,
        """
        train_cfg = dict(by_epoch=True, max_epochs=300)
        val_cfg = dict(type='ValLoop')
        """,
    )


@pytest.mark.parametrize(
    ('interval', 'left'),
    [('interval=1, ', ''), ('', ''), ('interval=5, ', 'interval=5, ')],
)
def test_a_base_of_the_data_has_no_loop(check, interval, left):
    """Its keys may not be those of the base of the schedule."""
    told = check(
        f"""
        data = dict()
        evaluation = dict({interval}metric='bbox')
        """,
        f"""
        data = dict()
        evaluation = dict({left}metric='bbox')
        val_cfg = dict(type='ValLoop')
        """,
    )
    assert told.said('outside')


def test_a_child_takes_the_interval_of_its_base(check):
    check(
        """
        _base_ = './base.py'
        train_cfg = dict(by_epoch=True, max_epochs=3)
        evaluation = dict(metric=['bbox', 'segm'])
        """,
        """
        _base_ = './base.py'
        train_cfg = dict(by_epoch=True, max_epochs=3, val_interval=2)
        evaluation = dict(metric=['bbox', 'segm'], _delete_=True)
        """,
        base="evaluation = dict(interval=2, metric='bbox')\n",
    )


def test_no_validation(check):
    check('evaluation = None\nx = 1\n', 'x = 1\n')


@pytest.mark.parametrize(
    'config',
    [
        'dict(interval=-1)',
        'dict(interval=1, by_epoch=False)',
        'dict(interval=dict(milestones=[1]))',
        'make()',
    ],
)
def test_what_is_not_known_stays(migrated, config):
    before = f'evaluation = {config}\n'
    run = 'train_cfg = dict(by_epoch=True, max_epochs=3)\n'
    after = migrated.after(run + before)
    assert after.startswith(f'{run}# TODO(mmamp migrate)')
    assert after.endswith(before)


def test_a_config_of_1x_stays(migrated):
    before = 'train_cfg = dict(max_iters=1, val_interval=1)\n'
    assert migrated.after(before) == before
    assert not migrated.result.findings


@pytest.mark.parametrize(
    ('intervals', 'loop'), [('55', 'val_interval=5'), ('11', 'max_epochs=9)')]
)
def test_a_list_of_evaluations(migrated, intervals, loop):
    one, other = intervals
    text = (
        f"evaluation = [dict(interval={one}, metric='PCK', save_best='PCK'),\n"
        f"              dict(interval={other}, metric='AUC')]\n"
    )
    after = migrated.after(f'total_epochs = 9\n{text}')
    assert loop in after
    assert "val_cfg = dict(type='ValLoop')" in after
    assert "save_best='PCK'" in after
    assert text in after
    assert 'belongs to the data' in migrated.said('outside')[0]
    assert not migrated.said('todo')


def test_a_list_of_evaluations_at_other_times(migrated):
    after = migrated.after(
        'total_epochs = 9\nevaluation = [dict(interval=1), dict(interval=2)]\n'
    )
    assert 'val_cfg' not in after
    assert 'different intervals' in migrated.said('todo')[0]
