"""``fp16``."""

import pytest

SGD = "optimizer = dict(type='SGD', lr=1)\n"


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('dict(loss_scale=512.)', '512.'),
        ("dict(loss_scale='dynamic')", "'dynamic'"),
        ('dict(loss_scale=dict(init_scale=512))', 'dict(init_scale=512)'),
        ('dict()', '512.0'),
        (
            "dict(loss_scale=dict(init_scale=512., mode='dynamic'))",
            'dict(init_scale=512.)',
        ),
        (
            'dict(loss_scale=dict(scale_factor=4., scale_window=100))',
            'dict(\n        growth_factor=4.,\n        backoff_factor=0.25,'
            '\n        growth_interval=100)',
        ),
        ("dict(loss_scale=dict(mode='static', init_scale=8.))", '8.'),
    ],
)
def test_the_scale(migrated, old, new):
    after = migrated.after(f'{SGD}fp16 = {old}\n')
    assert "type='mmamp.AmpOptimWrapper'" in after
    squeezed = ''.join(after.split())
    assert f'loss_scale={"".join(new.split())})' in squeezed
    assert 'fp16' not in after
    assert migrated.said('todo') == []


@pytest.mark.parametrize('old', ['None', 'False'])
def test_off(migrated, old):
    after = migrated.after(f'{SGD}fp16 = {old}\n')
    assert 'fp16' not in after
    assert 'AmpOptimWrapper' not in after


def test_on_top_of_a_base(check):
    check(
        """
        _base_ = 'base.py'
        # half precision
        fp16 = dict(loss_scale=512.)
        """,
        """
        _base_ = 'base.py'
        custom_imports = dict(imports=['mmamp'], allow_failed_imports=False)
        # half precision
        optim_wrapper = dict(type='mmamp.AmpOptimWrapper', loss_scale=512.)
        """,
        base=SGD,
    )


def test_without_an_optimizer_it_is_left_to_heirs(check):
    text = 'fp16 = dict(loss_scale=512.)\n'
    assert 'inherit' in check(text, text).said('outside')[0]


@pytest.mark.parametrize(
    ('old', 'reason'),
    [
        ("dict(loss_scale='512')", "loss_scale='512' is neither"),
        ('dict(loss_scale=dict(scale=1))', 'loss_scale has scale'),
        ('dict(level=2)', 'fp16 has level'),
        ('True', 'fp16=True is not'),
    ],
)
def test_what_is_not_known_is_left(migrated, old, reason):
    after = migrated.after(f'{SGD}fp16 = {old}\n')
    assert f'fp16 = {old}' in after
    assert migrated.said('todo')[0].startswith(reason)
