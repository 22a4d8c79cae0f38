"""``num_fp16_scales`` and ``fp16_enabled``."""

import re

import pytest


def settings(text):
    scope = {}
    exec(text, scope)
    return scope


MODEL = """
model = dict(
    type='StyleGAN2',
    generator=dict(out_size=64, {0}),
    discriminator=dict(in_size=64, {0}))
optimizer = dict(
    generator=dict(type='Adam', lr=1), discriminator=dict(type='Adam', lr=2))
custom_hooks = [dict(type='Other')]
"""


def test_the_lower_resolutions_stay_in_float32(migrated):
    # 64, 32 in half; 16, 8 and 4 not.
    new = settings(migrated.after(MODEL.format('num_fp16_scales=2')))
    assert new['model'] == dict(
        type='StyleGAN2',
        generator=dict(out_size=64),
        discriminator=dict(in_size=64),
    )
    other, hook = new['custom_hooks']
    assert other == dict(type='Other')
    assert hook['type'] == 'mmamp.PrecisionHook'
    generator, discriminator = hook['rules']
    names = [f'generator.convs.{i}' for i in range(8)]
    names += [f'generator.to_rgbs.{i}' for i in range(4)]
    float32 = [x for x in names if re.fullmatch(generator['pattern'], x)]
    assert float32 == [*names[:4], *names[8:10]]
    names = [f'discriminator.convs.{i}' for i in range(5)]
    float32 = [x for x in names if re.fullmatch(discriminator['pattern'], x)]
    assert float32 == names[3:]
    for wrapper in ('generator', 'discriminator'):
        entry = new['optim_wrapper'][wrapper]
        assert entry['type'] == 'mmamp.AmpOptimWrapper'


def test_all_of_it_needs_no_rule(migrated):
    new = settings(migrated.after(MODEL.format('fp16_enabled=True')))
    assert new['custom_hooks'] == [dict(type='Other')]
    assert new['model']['generator'] == dict(out_size=64)


def test_an_unknown_size_is_left(migrated):
    after = migrated.after(
        "model = dict(generator=dict(type='G', num_fp16_scales=2))\n"
    )
    assert 'num_fp16_scales=2' in after
    assert 'size is known' in migrated.said('todo')[0]


@pytest.mark.parametrize('network', ['StyleGANv2Generator', 'Other'])
def test_other_networks_are_left(check, network):
    text = f"model = dict(generator=dict(type='{network}', out_size=8))\n"
    check(text, text)


def test_a_network_without_half_precision_stays_so(migrated):
    new = settings(
        migrated.after(
            """
            model = dict(
                generator=dict(out_size=64, fp16_enabled=True),
                discriminator=dict(in_size=64))
            optimizer = dict(
                generator=dict(type='Adam'), discriminator=dict(type='Adam'))
            total_iters = 5
            runner = dict(fp16_loss_scaler=dict(init_scale=512))
            """
        )
    )
    (hook,) = new['custom_hooks']
    assert hook['rules'] == [dict(pattern='discriminator', dtype='float32')]
