# 96x96 patches of scikit-learn's two photographs (`gt_img`) and their
# reductions to 24x24 (`inputs`), without those of sky and blur.
# One stacked tensor a batch; MMEngine's default gives a list of images.
collate_fn = dict(type='mmamp.default_collate')
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    # Endless: no epoch ends, where workers would be started anew.
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='PhotosDataset',
        split='train',
        patch_size=96,
        stride=24,
        min_detail=4,
        pipeline=[
            dict(type='RandomFlip', prob=0.5),
            dict(type='MakeLowResolution', scale=4),
            dict(type='PackImage'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='PhotosDataset',
        split='val',
        patch_size=96,
        stride=32,
        min_detail=4,
        pipeline=[
            dict(type='MakeLowResolution', scale=4),
            dict(type='PackImage'),
        ],
    ),
)
val_cfg = dict()
test_dataloader = val_dataloader
test_cfg = dict()
