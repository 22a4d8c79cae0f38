"""What other statements refer to stays, and stands before them."""


def test_a_setting_that_is_a_variable_too_stays(check):
    check(
        """
        total_iters = 100
        lr_config = dict(policy='step', step=[total_iters // 2], gamma=0.1)
        half = total_iters // 2
        if half:
            note = 1
        """,
        """
        total_iters = 100
        train_cfg = dict(by_epoch=False, max_iters=100)
        param_scheduler = [
            dict(
                type='MultiStepLR',
                by_epoch=False,
                milestones=[total_iters // 2],
                gamma=0.1)]
        half = total_iters // 2
        if half:
            note = 1
        """,
    )


def test_what_a_statement_needs_comes_before_it(migrated):
    after = migrated.after(
        """
        model = dict(type='MyGAN')
        images = 10 * 1000
        beta = 0.5 ** (32 / images)
        custom_hooks = [dict(
            type='ExponentialMovingAverageHook', module_keys='generator_ema',
            interval=1, interp_cfg=dict(momentum=beta))]
        """
    )
    namespace = {}
    exec(after, namespace)
    assert namespace['model']['ema_config']['momentum'] == (
        1 - 0.5 ** (32 / 10000)
    )
    assert after.startswith('images =')


def test_what_is_named_anew_is_written(check):
    """A value that was another statement's takes the place of this one's."""
    check(
        """
        load_from = None
        resume_from = 'a.pth'
        """,
        """
        load_from = 'a.pth'
        resume = True
        """,
    )


def test_settings_of_the_model_that_others_refer_to(migrated):
    """The loops have their names: what refers to them is left to do."""
    after = migrated.after(
        """
        train_cfg = dict(neg=1)
        test_cfg = dict(nms=2)
        model = dict(type='SSN', train_cfg=train_cfg, test_cfg=test_cfg)
        data = dict(train=dict(cfg=train_cfg), test=[dict(cfg=test_cfg)])
        """
    )
    namespace = {}
    exec(after, namespace)
    assert namespace['data']['test'] == [dict(cfg=dict(nms=2))]
    assert namespace['model']['train_cfg'] == dict(neg=1)
    said = migrated.said('todo')
    assert [x.partition(',')[0] for x in said] == ['train_cfg', 'test_cfg']


def test_settings_that_only_the_model_refers_to_are_gone(migrated):
    after = migrated.after(
        """
        test_cfg = dict(nms=2)
        model = dict(type='SSN', test_cfg=test_cfg)
        """
    )
    assert after == "model = dict(type='SSN', test_cfg=dict(nms=2))\n"
