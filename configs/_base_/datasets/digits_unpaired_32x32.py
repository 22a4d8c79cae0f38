# scikit-learn's digits (`inputs`), and outlines of others (`target_img`).
digits_pipeline = [
    dict(type='Resize', scale=(32, 32), interpolation='bicubic'),
    dict(type='PackImage'),
]
edges_pipeline = [
    dict(type='Resize', scale=(32, 32), interpolation='bicubic'),
    dict(type='Edges', keep_as=None),
    dict(type='PackImage'),
]
# One stacked tensor a batch; MMEngine's default gives a list of images.
collate_fn = dict(type='mmamp.default_collate')
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    # Endless: no epoch ends, where workers would be started anew.
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='UnpairedDataset',
        # The first 718 of the 1,437 for training, and the other 719: no digit
        # is in both domains.
        source=dict(
            type='DigitsDataset',
            split='train',
            indices=718,
            pipeline=digits_pipeline,
        ),
        target=dict(
            type='DigitsDataset',
            split='train',
            indices=-719,
            pipeline=edges_pipeline,
        ),
    ),
)
# Here each digit is with its own outline, so that results can be measured.
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='UnpairedDataset',
        source=dict(
            type='DigitsDataset', split='val', pipeline=digits_pipeline
        ),
        target=dict(
            type='DigitsDataset', split='val', pipeline=edges_pipeline
        ),
        test_mode=True,
    ),
)
val_cfg = dict()
test_dataloader = val_dataloader
test_cfg = dict()
