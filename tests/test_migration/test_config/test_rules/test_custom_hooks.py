"""``custom_hooks`` and ``visual_config`` in the words of 1.x."""

import pytest

IMPORTS = (
    "custom_imports = dict(imports=['mmamp'], allow_failed_imports=False)"
)


def test_pictures_and_an_average(check):
    told = check(
        """
        half_life = 10.
        model = dict(type='MyGAN', discriminator_steps=1)
        custom_hooks = [
            dict(
                type='VisualizeUnconditionalSamples',
                output_dir='training_samples',
                interval=5000),
            # The average.
            dict(
                type='ExponentialMovingAverageHook',
                module_keys=('generator_ema', ),
                interval=1,
                interp_cfg=dict(momentum=0.5**(32. / (half_life * 1000.))),
                priority='VERY_HIGH'),
            dict(type='EmptyCacheHook')
        ]
        """,
        f"""
        half_life = 10.
        model = dict(
            type='MyGAN',
            discriminator_steps=1,
            ema_config=dict(momentum=1. - (0.5**(32. / (half_life * 1000.)))))
        # The average.
        custom_hooks = [
            dict(type='mmamp.SampleHook', interval=5000, num_samples=16, columns=4),
            dict(type='EmptyCacheHook')]
        {IMPORTS}
        """,
    )
    assert any('VisualizationHook' in x for x in told.said('warned'))


@pytest.mark.parametrize(
    ('steps', 'counts', 'hook', 'config'),
    [
        (1, 1, 'interval=1', ''),
        # Eight iterations are one update.
        (1, 8, 'interval=8, start_iter=160000', ', start_iter=20000'),
        (5, 1, 'interval=5, start_iter=50', ', start_iter=10'),
        (2, 2, 'interval=8', ', interval=2'),
    ],
)
def test_iterations_become_updates(migrated, steps, counts, hook, config):
    after = migrated.after(
        f"""
        model = dict(type='MyGAN', discriminator_steps={steps})
        optim_wrapper = dict(
            discriminator=dict(accumulative_counts={counts}, optimizer=dict()),
            generator=dict(accumulative_counts={counts}, optimizer=dict()))
        custom_hooks = [dict(
            type='ExponentialMovingAverageHook', module_keys='generator_ema',
            interp_cfg=dict(momentum=0.9999), {hook})]
        resume_from = None
        """
    )
    assert f'ema_config=dict(momentum=0.0001{config})' in after
    assert 'ExponentialMovingAverageHook' not in after
    assert not migrated.said('warned')


def test_an_average_of_the_same_weights_more_than_once(migrated):
    migrated.after(
        """
        model = dict(type='MyGAN', discriminator_steps=5)
        custom_hooks = [dict(
            type='ExponentialMovingAverageHook', module_keys='generator_ema',
            interval=1)]
        """
    )
    assert 'same weights more than once' in migrated.said('warned')[0]


def test_an_average_of_what_is_no_generator(migrated):
    after = migrated.after(
        """
        model = dict(type='Diffusion')
        custom_hooks = [dict(
            type='ExponentialMovingAverageHook', module_keys='denoising_ema',
            interval=1, start_iter=5, interp_cfg=dict(momentum=0.99))]
        """
    )
    assert "dict(type='mmamp.EMAHook', momentum=0.01, begin_iter=5)" in after
    assert 'denoising_ema' in migrated.said('warned')[0]


def test_an_average_that_mmagic_has_a_hook_for(check):
    """Its momentum is that of 1.x, too."""
    check(
        """
        model = dict(type='RealESRGAN', is_use_ema=True)
        custom_hooks = [dict(
            type='ExponentialMovingAverageHook', module_keys='generator_ema',
            interp_cfg=dict(momentum=0.999))]
        """,
        """
        model = dict(type='RealESRGAN', is_use_ema=True)
        custom_hooks = [
            dict(
                type='ExponentialMovingAverageHook',
                module_keys='generator_ema',
                interp_cfg=dict(momentum=0.001))]
        """,
    )


def test_buffers(migrated):
    after = migrated.after(
        """
        model = dict(type='MyGAN')
        custom_hooks = [dict(
            type='ExponentialMovingAverageHook', module_keys='generator_ema',
            interval=1,
            interp_cfg=dict(momentum=0.9, momentum_nontrainable=0.9))]
        """
    )
    assert 'ema_config=dict(momentum=0.1, update_buffers=True)' in after


def test_a_momentum_that_rises(migrated):
    after = migrated.after(
        """
        model = dict(type='StyleGANv3')
        custom_hooks = [dict(
            type='ExponentialMovingAverageHook', module_keys='generator_ema',
            interval=1, momentum_policy='rampup',
            momentum_cfg=dict(ema_kimg=10, batch_size=32))]
        """
    )
    assert "dict(type='RampUpEMA', ema_kimg=10, batch_size=32)" in after
    assert 'mmamp has not' in migrated.said('warned')[0]


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        ("module_keys='generator_ema'", 'never updated'),
        ('module_keys=(), interval=1', 'of which networks'),
        (
            "module_keys='generator_ema', interval=1, momentum_policy='x'",
            "momentum_policy 'x'",
        ),
        ("module_keys='generator_ema', interval=1, speed=2", 'speed'),
    ],
)
def test_what_has_no_counterpart_stays(migrated, arguments, reason):
    before = (
        'custom_hooks = [\n'
        f"    dict(type='ExponentialMovingAverageHook', {arguments})]\n"
    )
    after = migrated.after("model = dict(type='MyGAN')\n" + before)
    assert after.endswith(before)
    assert reason in migrated.said('todo')[0]


def test_a_part_without_a_model_is_left(migrated):
    before = (
        'custom_hooks = [\n    dict(\n'
        "        type='ExponentialMovingAverageHook',\n"
        "        module_keys='generator_ema')]\n"
    )
    assert migrated.after(before) == before
    assert 'have a model' in migrated.said('outside')[0]


def test_the_one_hook_of_mmediting(check):
    check(
        """
        visual_config = dict(
            type='MMEditVisualizationHook', output_dir='visual', interval=1000,
            res_name_list=['fake_img'])
        """,
        f"""
        custom_hooks = [dict(type='mmamp.SampleHook', interval=1000)]
        {IMPORTS}
        """,
    )


def test_no_pictures(check):
    check('visual_config = None\nx = 1\n', 'x = 1\n')


def test_hooks_of_mmdetection(check):
    check(
        """
        custom_hooks = [
            dict(type='NumClassCheckHook'),
            dict(type='SyncNormHook', num_last_epochs=15, interval=10),
            dict(
                type='ExpMomentumEMAHook',
                resume_from=None,
                momentum=0.0001,
                priority=49)
        ]
        """,
        """
        custom_hooks = [
            dict(type='NumClassCheckHook'),
            dict(type='SyncNormHook'),
            dict(
                type='EMAHook',
                ema_type='ExpMomentumEMA',
                update_buffers=True,
                momentum=0.0001,
                priority=49)]
        """,
    )


def test_a_hook_of_ones_own_is_spoken_of(migrated):
    before = "custom_hooks = [dict(type='MyHook')]\n"
    after = migrated.after('total_iters = 3\n' + before)
    assert before in after
    assert 'MyHook' in migrated.said('outside')[0]


@pytest.mark.parametrize(
    'hook',
    [
        "dict(type='EMAHook', momentum=0.1)",
        "dict(type='VisualizationHook', vis_kwargs_list=dict(type='GAN'))",
        "dict(type='DetVisualizationHook')",
    ],
)
def test_a_config_of_1x_stays(migrated, hook):
    before = f'custom_hooks = [{hook}]\n'
    assert migrated.after(before) == before
    assert not migrated.result.findings


def test_hooks_of_mmamp_are_known(migrated):
    migrated.after(
        """
        optimizer = dict(type='SGD', lr=1)
        custom_hooks = [dict(type='mmamp.SampleHook', interval=1)]
        """
    )
    assert migrated.said('outside') == []


def test_averages_of_several_networks_are_that_of_the_whole(migrated):
    after = migrated.after(
        "model = dict(type='MyGAN')\n"
        "custom_hooks = [\n    dict(type='ExponentialMovingAverageHook',\n"
        "         module_keys=('a_ema', 'b_ema'), interval=1)]\n"
    )
    assert "dict(type='mmamp.EMAHook', momentum=0.001)" in after
    assert 'no longer needs a_ema, b_ema' in migrated.said('warned')[0]
