# Two domains: data/unpaired/{trainA,trainB,testA,testB}, as CycleGAN's data
# are published. Resized to 286x286, cropped and flipped, each by itself.
data_root = 'data/unpaired'
train_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='Resize',
        scale=(286, 286),
        interpolation='bicubic',
        backend='pillow',
    ),
    dict(type='RandomCrop', size=256),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackImage'),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='Resize',
        scale=(256, 256),
        interpolation='bicubic',
        backend='pillow',
    ),
    dict(type='PackImage'),
]
# One stacked tensor a batch; MMEngine's default gives a list of images.
collate_fn = dict(type='mmamp.default_collate')
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    # Endless: no epoch ends, where workers would be started anew.
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='UnpairedDataset',
        source=dict(
            type='ImageFolderDataset',
            data_root=f'{data_root}/trainA',
            pipeline=train_pipeline,
        ),
        target=dict(
            type='ImageFolderDataset',
            data_root=f'{data_root}/trainB',
            pipeline=train_pipeline,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='UnpairedDataset',
        source=dict(
            type='ImageFolderDataset',
            data_root=f'{data_root}/testA',
            pipeline=val_pipeline,
        ),
        target=dict(
            type='ImageFolderDataset',
            data_root=f'{data_root}/testB',
            pipeline=val_pipeline,
        ),
        test_mode=True,
    ),
)
val_cfg = dict()
test_dataloader = val_dataloader
test_cfg = dict()
