# High-resolution pictures: data/sr/{train,val}. Training patches of 96x96
# (`gt_img`) and their reductions to 24x24 (`inputs`); for validation the
# middle 256x256 of each picture.
data_root = 'data/sr'
# One stacked tensor a batch; MMEngine's default gives a list of images.
collate_fn = dict(type='mmamp.default_collate')
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    # Endless: no epoch ends, where workers would be started anew.
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='ImageFolderDataset',
        data_root=f'{data_root}/train',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='RandomCrop', size=96),
            dict(type='RandomFlip', prob=0.5),
            dict(type='MakeLowResolution', scale=4),
            dict(type='PackImage'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='ImageFolderDataset',
        data_root=f'{data_root}/val',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='CenterCrop', crop_size=256),
            dict(type='MakeLowResolution', scale=4),
            dict(type='PackImage'),
        ],
    ),
)
val_cfg = dict()
test_dataloader = val_dataloader
test_cfg = dict()
