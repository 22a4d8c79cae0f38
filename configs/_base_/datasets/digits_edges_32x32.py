# Outlines of scikit-learn's digits (`inputs`) and the digits (`gt_img`).
pipeline = [
    dict(type='Resize', scale=(32, 32), interpolation='bicubic'),
    dict(type='Edges', keep_as='gt_img'),
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
    dataset=dict(type='DigitsDataset', split='train', pipeline=pipeline),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(type='DigitsDataset', split='val', pipeline=pipeline),
)
val_cfg = dict()
test_dataloader = val_dataloader
test_cfg = dict()
