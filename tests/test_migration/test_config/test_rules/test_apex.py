"""``apex_amp``."""

import pytest

GAN = """
optimizer = dict(
    generator=dict(type='Adam', lr=1), discriminator=dict(type='Adam', lr=2))
"""


@pytest.mark.parametrize(
    ('arguments', 'scale'),
    [
        ("opt_level='O1'", "'dynamic'"),
        ("opt_level='O1', loss_scale=512.", '512.'),
        ("opt_level='O1', loss_scale='128.0'", '128.0'),
        ("opt_level='O1', num_losses=2", "'dynamic'"),
    ],
)
def test_mixed_precision_for_every_network(migrated, arguments, scale):
    after = migrated.after(
        f"{GAN}apex_amp = dict(mode='gan', init_args=dict({arguments}))\n"
    )
    assert after.count("type='mmamp.AmpOptimWrapper'") == 2
    assert after.count(f'loss_scale={scale})') == 2
    assert 'apex' not in after
    assert bool(migrated.said('warned')) is ('num_losses' in arguments)


def test_weights_in_half_are_said(migrated):
    migrated.after(f"{GAN}apex_amp = dict(init_args=dict(opt_level='O2'))\n")
    assert 'O2 kept the weights' in migrated.said('warned')[0]


def test_float32(migrated):
    after = migrated.after(
        f"{GAN}apex_amp = dict(init_args=dict(opt_level='O0'))\n"
    )
    assert 'AmpOptimWrapper' not in after


@pytest.mark.parametrize('flag', [True, False])
def test_the_flag(migrated, flag):
    after = migrated.after(f'{GAN}use_apex_amp = {flag}\n')
    assert ('AmpOptimWrapper' in after) is flag
    assert 'apex' not in after


def test_what_is_not_known_is_left(migrated):
    after = migrated.after(f'{GAN}apex_amp = dict(init_args=dict(cast=1))\n')
    assert 'apex_amp = dict(init_args=dict(cast=1))' in after
    assert 'cast' in migrated.said('todo')[0]


def test_without_an_optimizer_it_is_left_to_heirs(check):
    text = "apex_amp = dict(init_args=dict(opt_level='O1'))\n"
    assert 'inherit' in check(text, text).said('outside')[0]
