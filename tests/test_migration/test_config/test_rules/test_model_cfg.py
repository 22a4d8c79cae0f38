"""What was the model's of ``train_cfg`` and ``test_cfg``."""


def test_they_go_to_the_model(check):
    after = check(
        """
        model = dict(
            type='BasicVSR',  # 2021
            generator=dict(type='Net'))
        train_cfg = dict(fix_iter=5000)
        test_cfg = dict(metrics=['PSNR'], crop_border=0)
        """,
        """
        model = dict(
            type='BasicVSR',  # 2021
            generator=dict(type='Net'),
            train_cfg=dict(fix_iter=5000),
            test_cfg=dict(metrics=['PSNR'], crop_border=0))
        """,
    )
    assert 'val_evaluator' in after.said('warned')[0]


def test_nothing_makes_room_for_the_loop(check):
    check(
        """
        model = dict(type='Net')
        # settings
        train_cfg = None
        test_cfg = None
        total_iters = 5
        """,
        """
        model = dict(type='Net')
        # settings
        train_cfg = dict(by_epoch=False, max_iters=5)
        """,
    )


def test_both_in_one_name(migrated):
    after = migrated.after(
        """
        _base_ = 'base.py'
        train_cfg = dict(fix_iter=7)
        """,
        base="""
        model = dict(type='Net')
        train_cfg = dict(by_epoch=False, max_iters=5)
        """,
    )
    assert 'model = dict(train_cfg=dict(fix_iter=7))' in after
    assert 'fix_iter' not in after.replace('train_cfg=dict(fix_iter=7)', '')


def test_variables_are_set_before_they_are_used(check):
    check(
        """
        model = dict(type='Net')
        scale = 4
        test_cfg = dict(crop_border=scale)
        """,
        """
        scale = 4
        model = dict(type='Net', test_cfg=dict(crop_border=scale))
        """,
    )


def test_loops_are_left(check):
    text = """
    model = dict(type='Net')
    train_cfg = dict(by_epoch=False, max_iters=5)
    val_cfg = dict()
    test_cfg = dict()
    """
    check(text, text)


def test_without_a_model_they_are_left_to_heirs(check):
    text = "test_cfg = dict(metrics=['PSNR'])\n"
    assert 'inherit' in check(text, text).said('outside')[0]


def test_names_that_mmagic_has_otherwise(check):
    after = check(
        """
        model = dict(type='TTSR')
        train_cfg = dict(fix_iter=25000, disc_steps=2)
        """,
        """
        model = dict(type='TTSR', train_cfg=dict(pixel_init=25000, disc_repeat=2))
        """,
    )
    assert 'disc_steps is disc_repeat in MMagic' in after.said('warned')


def test_nothing_said_twice_is_left(check):
    after = check(
        """
        test_cfg = None  # one
        test_cfg = None  # two
        """,
        """
        test_cfg = None  # one
        # TODO(mmamp migrate): test_cfg is set in more than one place, or not by an
        #   assignment at the top of the file
        test_cfg = None  # two
        """,
    )
    assert len(after.said('todo')) == 1


def test_a_comment_goes_with_the_settings_it_speaks_of(check):
    check(
        """
        model = dict(type='Restorer', generator=dict(type='A'))
        train_cfg = dict()
        test_cfg = dict(crop_border=0)  # in pixels
        # learning policy
        total_iters = 10
        """,
        """
        # in pixels
        model = dict(
            type='Restorer',
            generator=dict(type='A'),
            test_cfg=dict(crop_border=0))
        # learning policy
        train_cfg = dict(by_epoch=False, max_iters=10)
        """,
    )
