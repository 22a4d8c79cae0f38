"""Optimizers that a model built itself."""

PGGAN = """
model = dict(type='ProgressiveGrowingGAN')
train_cfg = dict(
    transition_kimgs=600,
    optimizer_cfg=dict(
        generator=dict(type='Adam', lr=0.001, betas=(0., 0.99)),
        discriminator=dict(type='Adam', lr=0.001, betas=(0., 0.99))),
    g_lr_base=0.002,
    d_lr_base=0.003,
    g_lr_schedule=dict({'128': 0.0015}),
    d_lr_schedule=dict({'128': 0.0016}))
optimizer = None
"""
SINGAN = """
model = dict(type='SinGAN')
train_cfg = dict(
    noise_weight_init=0.1, iters_per_scale=2000, disc_steps=3,
    generator_steps=3, lr_d=0.0005, lr_g=0.0004,
    lr_scheduler_args=dict(milestones=[1600], gamma=0.1))
optimizer = None
total_iters = 22000
"""


def settings(text):
    scope = {}
    exec(text, scope)
    return scope


def test_of_a_progressive_gan(migrated):
    new = settings(migrated.after(PGGAN))
    assert 'optimizer' not in new
    assert new['optim_wrapper'] == dict(
        constructor='mmagic.PGGANOptimWrapperConstructor',
        generator=dict(
            optimizer=dict(type='Adam', lr=0.002, betas=(0.0, 0.99))
        ),
        discriminator=dict(
            optimizer=dict(type='Adam', lr=0.003, betas=(0.0, 0.99))
        ),
        lr_schedule=dict(
            generator={'128': 0.0015}, discriminator={'128': 0.0016}
        ),
    )
    assert new['model'] == dict(
        type='ProgressiveGrowingGAN', transition_kimgs=600
    )
    assert 'train_cfg' not in new
    assert 'model built itself' in migrated.said('warned')[0]


def test_of_singan(migrated):
    new = settings(migrated.after(SINGAN))
    assert new['optim_wrapper'] == dict(
        constructor='mmagic.SinGANOptimWrapperConstructor',
        generator=dict(
            optimizer=dict(type='Adam', lr=0.0004, betas=(0.5, 0.999))
        ),
        discriminator=dict(
            optimizer=dict(type='Adam', lr=0.0005, betas=(0.5, 0.999))
        ),
    )
    # (10 scales and the first) * 2000 * 3, as MMagic has it.
    assert new['train_cfg'] == dict(by_epoch=False, max_iters=66000)
    assert new['model'] == dict(
        type='SinGAN',
        noise_weight_init=0.1,
        iters_per_scale=2000,
        discriminator_steps=3,
        generator_steps=3,
        lr_scheduler_args=dict(milestones=[1600], gamma=0.1),
    )


def test_none_without_a_word_of_where(check):
    after = check(
        """
        model = dict(type='Mine')
        optimizer = None
        """,
        """
        model = dict(type='Mine')
        # TODO(mmamp migrate): optimizer is None and train_cfg has no optimizer_cfg,
        #   lr_d or lr_g: the model builds its optimizers itself, and they belong into
        #   optim_wrapper
        optimizer = None
        """,
    )
    assert len(after.said('todo')) == 1
