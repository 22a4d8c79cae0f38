"""How values look where they have gone to."""

import pytest


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        (
            """
            optimizer = dict(type='SGD',
                             lr=0.1, momentum=0.9)
            """,
            """
            optim_wrapper = dict(
                type='OptimWrapper',
                optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
            """,
        ),
        (
            """
            optimizer = dict(type='SGD', lr=0.1,  # of all
                             momentum=0.9,
                             # what is decayed
                             weight_decay=0.0001)
            """,
            """
            optim_wrapper = dict(
                type='OptimWrapper',
                optimizer=dict(
                    type='SGD',
                    lr=0.1,  # of all
                    momentum=0.9,
                    # what is decayed
                    weight_decay=0.0001))
            """,
        ),
        (
            """
            optimizer = dict(type='AdamW', lr=0.1,
                             paramwise_cfg=dict(custom_keys={'norm': dict(decay_mult=0.),
                                                             'head': dict(lr_mult=10.)}))
            """,
            """
            optim_wrapper = dict(
                type='OptimWrapper',
                optimizer=dict(type='AdamW', lr=0.1),
                paramwise_cfg=dict(
                    custom_keys={'norm': dict(decay_mult=0.), 'head': dict(lr_mult=10.)}))
            """,
        ),
        (
            """
            optimizer = dict(type='AdamW', lr=0.1,
                             paramwise_cfg=dict(custom_keys={'backbone.norm': dict(decay_mult=0.),
                                                             'head': dict(lr_mult=10.)}))
            """,
            """
            optim_wrapper = dict(
                type='OptimWrapper',
                optimizer=dict(type='AdamW', lr=0.1),
                paramwise_cfg=dict(
                    custom_keys={
                        'backbone.norm': dict(decay_mult=0.),
                        'head': dict(lr_mult=10.)}))
            """,
        ),
        (
            """
            optimizer = dict(
                type='SGD', lr=0.1,
                momentum=0.9)
            """,
            """
            optim_wrapper = dict(
                type='OptimWrapper',
                optimizer=dict(
                    type='SGD', lr=0.1,
                    momentum=0.9))
            """,
        ),
    ],
)
def test_lines_are_indented_as_a_formatter_does(check, old, new):
    check(old, new)
