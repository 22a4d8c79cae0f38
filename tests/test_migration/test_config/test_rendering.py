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


@pytest.mark.parametrize(
    ('old', 'new', 'gone'),
    [
        # Right above, with a blank line below: of this statement alone.
        (
            """
            x = 1
            # what to do
            workflow = [('train', 1)]

            y = 2
            """,
            """
            x = 1

            y = 2
            """,
            '# what to do',
        ),
        (
            """
            workflow = [('train', 1)]  # only train
            y = 2
            """,
            """
            y = 2
            """,
            '# only train',
        ),
        # Of the group that goes on below, or of a section.
        (
            """
            # runtime
            workflow = [('train', 1)]
            y = 2
            """,
            """
            # runtime
            y = 2
            """,
            '',
        ),
        (
            """
            x = 1
            # runtime

            # what to do
            workflow = [('train', 1)]

            y = 2
            """,
            """
            x = 1

            # runtime
            y = 2
            """,
            '# what to do',
        ),
        # Of what has a successor.
        (
            """
            # how long
            total_epochs = 3  # enough
            """,
            """
            # how long
            # enough
            train_cfg = dict(by_epoch=True, max_epochs=3)
            """,
            '',
        ),
    ],
)
def test_comments_stay_with_what_they_speak_of(check, old, new, gone):
    migrated = check(old, new)
    said = [x for x in migrated.said('changed') if 'its comment' in x]
    assert said == (
        [f'workflow is gone with its comment: {gone}'] if gone else []
    )
