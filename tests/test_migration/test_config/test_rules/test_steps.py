"""``disc_steps``, ``gen_steps``, ``batch_accumulation_steps``."""

import pytest

GAN = """
model = dict(type='BasiccGAN')
optimizer = dict(
    generator=dict(type='Adam', lr=1), discriminator=dict(type='Adam', lr=2))
"""


@pytest.mark.parametrize(
    ('old', 'steps', 'micro'),
    [
        ('disc_steps=8, gen_steps=1, batch_accumulation_steps=8', 1, 8),
        ('disc_steps=8, batch_accumulation_steps=4', 2, 4),
        ('disc_steps=5', 5, None),
        ('disc_steps=4, batch_accumulation_steps=1', 4, None),
    ],
)
def test_what_the_counts_become(migrated, old, steps, micro):
    after = migrated.after(f'{GAN}train_cfg = dict({old})\n')
    assert f'discriminator_steps={steps}' in after
    assert after.count('accumulative_counts=') == (2 if micro else 0)
    if micro:
        assert after.count(f'accumulative_counts={micro}') == 2
    assert 'train_cfg' not in after
    assert migrated.said('todo') == []


def test_the_step_of_the_generator(migrated):
    after = migrated.after(f'{GAN}train_cfg = dict(gen_steps=2)\n')
    assert 'generator_steps=2' in after


def test_a_turn_inside_of_an_update_is_left(migrated):
    after = migrated.after(
        f'{GAN}train_cfg = dict(disc_steps=6, batch_accumulation_steps=4)\n'
    )
    assert 'disc_steps=6' in after
    assert 'is no multiple' in migrated.said('todo')[0]
    assert 'accumulative_counts' not in after


def test_of_a_migrated_base(migrated):
    base = """
    model = dict(type='BasiccGAN', discriminator_steps=1)
    optim_wrapper = dict(
        constructor='mmamp.OptimWrapperConstructor',
        generator=dict(accumulative_counts=8, optimizer=dict(type='Adam')),
        discriminator=dict(accumulative_counts=8, optimizer=dict(type='SGD')))
    """
    child = "_base_ = 'base.py'\ntrain_cfg = dict({})\n"
    after = migrated.after(child.format('disc_steps=16'), base=base)
    assert 'discriminator_steps=2' in after
    after = migrated.after(
        child.format('batch_accumulation_steps=4'), base=base
    )
    assert after.count('accumulative_counts=4') == 2
    assert 'discriminator_steps=2' in after


def test_without_a_model_it_is_left(check):
    text = 'train_cfg = dict(disc_steps=5)\n'
    check(text, text)


def test_where_it_means_another_thing_it_goes_to_the_model(migrated):
    after = migrated.after(
        "model = dict(type='ESRGAN')\ntrain_cfg = dict(disc_steps=2)\n"
    )
    assert 'train_cfg=dict(disc_steps=2)' in after
    assert 'discriminator_steps' not in after


def test_the_flag_of_an_average(migrated):
    after = migrated.after(f'{GAN}train_cfg = dict(use_ema=True)\n')
    assert 'use_ema' not in after
    assert 'ema_config' in migrated.said('changed')[0]


def test_what_a_model_did_not_heed(migrated):
    after = migrated.after(
        GAN.replace('BasiccGAN', 'StaticUnconditionalGAN')
        + 'train_cfg = dict(disc_steps=8, batch_accumulation_steps=8)\n'
    )
    assert 'discriminator_steps=8' in after
    assert 'accumulative_counts' not in after
    assert 'did not heed it' in migrated.said('warned')[0]
