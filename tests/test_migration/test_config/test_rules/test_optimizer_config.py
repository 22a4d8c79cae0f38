"""``optimizer_config``."""

import pytest

SGD = "optimizer = dict(type='SGD', lr=1)\n"
PLAIN = """
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1){})
"""


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('dict(grad_clip=None)', ''),
        ('None', ''),
        ('dict()', ''),
        ("dict(type='DistOptimizerHook', coalesce=True)", ''),
        (
            'dict(grad_clip=dict(max_norm=35, norm_type=2))',
            ',\n    clip_grad=dict(max_norm=35, norm_type=2)',
        ),
        (
            "dict(type='GradientCumulativeOptimizerHook', cumulative_iters=4)",
            ',\n    accumulative_counts=4',
        ),
        (
            "dict(type='OptimizerHook', update_interval=2)",
            ',\n    accumulative_counts=2',
        ),
    ],
)
def test_of_one_optimizer(check, old, new):
    text = PLAIN.format(new)
    if not new:
        flat = "optimizer=dict(type='SGD', lr=1))"
        text = f"optim_wrapper = dict(\n    type='OptimWrapper',\n    {flat}\n"
        if len(f"optim_wrapper = dict(type='OptimWrapper', {flat}") < 79:
            text = f"optim_wrapper = dict(type='OptimWrapper', {flat}\n"
    check(f'{SGD}optimizer_config = {old}\n', text)


@pytest.mark.parametrize(
    ('hook', 'scale'),
    [
        ("type='Fp16OptimizerHook', loss_scale=512.", '512.'),
        ("type='Fp16OptimizerHook', loss_scale='dynamic'", "'dynamic'"),
        ("type='Fp16OptimizerHook'", '512.0'),
    ],
)
def test_precision(migrated, hook, scale):
    after = migrated.after(f'{SGD}optimizer_config = dict({hook})\n')
    assert "type='mmamp.AmpOptimWrapper'" in after
    assert f'loss_scale={scale})' in after


@pytest.mark.parametrize('fp16', ['None', 'dict()', 'dict(loss_scale=128.)'])
@pytest.mark.parametrize(
    ('hook', 'scale'),
    [
        ("type='DistOptimizerHook', use_fp16=True", "'dynamic'"),
        ("type='ApexOptimizerHook', use_fp16=True", "'dynamic'"),
        ("type='mmcv.DistOptimizerHook', use_fp16=True", "'dynamic'"),
        ("type='Fp16OptimizerHook', loss_scale='dynamic'", "'dynamic'"),
        ("type='GradientCumulativeFp16OptimizerHook'", '512.0'),
        ("type='GradAccumFp16OptimizerHook', update_interval=2", '512.0'),
    ],
)
@pytest.mark.parametrize('is_first', [True, False])
def test_a_hook_that_is_named_decides(migrated, fp16, hook, scale, is_first):
    lines = [f'fp16 = {fp16}\n', f'optimizer_config = dict({hook})\n']
    after = migrated.after(SGD + ''.join(lines[:: 1 if is_first else -1]))
    assert "type='mmamp.AmpOptimWrapper'" in after
    assert f'loss_scale={scale}' in after
    is_other = 'loss' in fp16
    assert len(migrated.said('warned')) == is_other


def test_a_hook_that_is_named_decides_over_a_child(migrated):
    hook = "type='DistOptimizerHook', use_fp16=True, update_interval=2"
    base = f'{SGD}optimizer_config = dict({hook})\n'
    after = migrated.after("_base_ = 'base.py'\nfp16 = None\n", base=base)
    assert 'OptimWrapper' not in after
    after = migrated.after(
        "_base_ = 'base.py'\noptimizer_config = dict(use_fp16=False)\n",
        base=base,
    )
    assert "type='OptimWrapper'" in after


def test_two_that_contradict_each_other_are_told(migrated):
    """0.x fails to build the hook that both would make."""
    after = migrated.after(
        f'{SGD}fp16 = dict(loss_scale=512.0)\noptimizer_config = '
        "dict(type='DistOptimizerHook', use_fp16=False)\n"
    )
    assert "type='mmamp.AmpOptimWrapper'" in after
    (told,) = migrated.said('warned')
    assert 'use_fp16=False beside fp16' in told


def test_precision_that_is_not_known_is_left(migrated):
    migrated.after(
        f'{SGD}from x import half\noptimizer_config = '
        "dict(type='DistOptimizerHook', use_fp16=half)\n"
    )
    assert 'use_fp16' in migrated.said('todo')[0]


def test_precision_and_accumulation(migrated):
    after = migrated.after(
        f'{SGD}optimizer_config = dict('
        "type='GradientCumulativeFp16OptimizerHook', cumulative_iters=2, "
        "loss_scale='dynamic')\n"
    )
    assert 'accumulative_counts=2' in after
    assert "type='mmamp.AmpOptimWrapper'" in after


def test_of_models_that_step_themselves_it_had_no_effect(migrated):
    after = migrated.after(
        """
        optimizer = dict(a=dict(type='SGD', lr=1), b=dict(type='SGD', lr=2))
        optimizer_config = dict(grad_clip=dict(max_norm=1.0))
        """
    )
    assert 'clip_grad' not in after
    assert 'optimizer_config' not in after
    assert 'did not heed this' in migrated.said('warned')[0]


def test_a_child_that_takes_clipping_back(migrated):
    base = f'{SGD}optimizer_config = dict(grad_clip=dict(max_norm=1))\n'
    child = "_base_ = 'base.py'\noptimizer_config = dict({}grad_clip=None)\n"
    for delete in ('', '_delete_=True, '):
        migrated.after(child.format(delete), base=base)
        text = migrated.result.after
        assert 'clip_grad=None' in text or '_delete_=True' in text


def test_without_an_optimizer_it_is_left_to_heirs(check):
    text = 'optimizer_config = dict(grad_clip=dict(max_norm=1))\n'
    after = check(text, text)
    assert 'inherit' in after.said('outside')[0]
    base = text
    after = check(
        f"_base_ = 'base.py'\n{SGD}",
        """
        _base_ = 'base.py'
        optim_wrapper = dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=1),
            clip_grad=dict(max_norm=1))
        """,
        base=base,
    )


def test_an_unknown_hook_is_left(migrated):
    after = migrated.after(f"{SGD}optimizer_config = dict(type='Mine')\n")
    assert "optimizer_config = dict(type='Mine')" in after
    assert 'the hook Mine' in migrated.said('todo')[0]
    assert '# TODO(mmamp migrate): the hook Mine' in after


def test_an_unknown_argument_is_left(migrated):
    after = migrated.after(f'{SGD}optimizer_config = dict(clip=1)\n')
    assert 'optimizer_config = dict(clip=1)' in after
    assert migrated.said('todo') == ['clip: no such argument is known']


def test_what_is_dropped_is_said(migrated):
    migrated.after(
        f'{SGD}optimizer_config = dict(detect_anomalous_params=True)\n'
    )
    assert 'detect_anomalous_params' in migrated.said('warned')[0]


def test_what_had_no_effect_is_said(migrated):
    gan = "optimizer = dict(a=dict(type='SGD'), b=dict(type='SGD'))\n"
    clip = 'optimizer_config = dict(grad_clip=dict(max_norm=1))\n'
    one = "optimizers = dict(generator=dict(type='SGD', lr=1))\n"
    for head in (gan, one):
        for tail in (clip, 'fp16 = dict(loss_scale=512.)\n'):
            after = migrated.after(head + tail)
            assert 'did not heed this' in '\n'.join(migrated.said('warned'))
            assert 'Amp' not in after
            assert 'clip_grad' not in after
    migrated.after(SGD + clip)
    assert migrated.said('warned') == []
