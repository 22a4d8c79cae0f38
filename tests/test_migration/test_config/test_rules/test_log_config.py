"""``log_config`` becomes ``default_hooks.logger`` and ``visualizer``."""

import pytest


def test_text_alone_of_epochs(check):
    check(
        """
        log_config = dict(
            interval=50,
            hooks=[
                dict(type='TextLoggerHook'),
                # dict(type='TensorboardLoggerHook')
            ])
        """,
        """
        # dict(type='TensorboardLoggerHook')
        default_hooks = dict(logger=dict(type='LoggerHook', interval=50))
        """,
    )


def test_of_iterations_and_to_more_places(check):
    told = check(
        """
        exp = 'mine'
        log_config = dict(
            interval=100,
            hooks=[
                dict(type='TextLoggerHook', by_epoch=False, interval=500),
                dict(type='TensorboardLoggerHook', log_dir=f'tb/{exp}'),
                dict(type='WandbLoggerHook', init_kwargs=dict(project='p')),
                dict(type='PaviLoggerHook', init_kwargs=dict(project='p')),
            ])
        """,
        """
        exp = 'mine'
        log_processor = dict(type='LogProcessor', by_epoch=False)
        default_hooks = dict(
            logger=dict(type='LoggerHook', interval=500, log_metric_by_epoch=False))
        visualizer = dict(
            type='Visualizer',
            vis_backends=[
                dict(type='LocalVisBackend'),
                dict(type='TensorboardVisBackend', save_dir=f'tb/{exp}'),
                dict(type='WandbVisBackend', init_kwargs=dict(project='p'))])
        """,
    )
    assert 'Pavi' in told.said('warned')[0]


def test_the_run_says_what_is_counted(migrated):
    after = migrated.after(
        'total_iters = 9\n'
        "log_config = dict(hooks=[dict(type='TextLoggerHook')])\n"
    )
    assert 'by_epoch=False' in after


def test_a_part_of_a_base(check):
    check(
        """
        _base_ = './base.py'
        log_config = dict(interval=1)
        """,
        """
        _base_ = './base.py'
        default_hooks = dict(logger=dict(interval=1))
        """,
        base="log_config = dict(hooks=[dict(type='TextLoggerHook')])",
    )


def test_what_a_hook_of_a_toolbox_did_besides_is_named(migrated):
    after = migrated.after(
        """
        log_config = dict(interval=1, hooks=[
            dict(type='MMDetWandbHook', log_checkpoint=True)])
        """
    )
    assert "dict(type='WandbVisBackend')" in after
    assert 'log_checkpoint' in migrated.said('warned')[0]


@pytest.mark.parametrize(
    'config',
    [
        "dict(interval=1, hooks=[dict(type='CarrierPigeonHook')])",
        'dict(interval=1, hooks=make())',
        'make()',
    ],
)
def test_what_is_not_known_stays(migrated, config):
    before = f'log_config = {config}\n'
    after = migrated.after(before)
    assert after.endswith(before)
    assert after.startswith('# TODO(mmamp migrate)')


def test_no_logs_is_dropped(check):
    check('log_config = None\nx = 1\n', 'x = 1\n')


def test_a_config_of_1x_stays(migrated):
    before = "default_hooks = dict(logger=dict(type='LoggerHook'))\n"
    assert migrated.after(before) == before
    assert not migrated.result.findings


def test_a_text_logger_of_the_project(migrated):
    after = migrated.after(
        "log_config = dict(interval=7, hooks=[dict(type='MyTextLoggerHook')])"
    )
    assert "logger=dict(type='LoggerHook', interval=7)" in after
    (said,) = migrated.said('warned')
    assert 'MyTextLoggerHook' in said
    assert 'LogProcessor' in said
    assert not migrated.said('todo')
