# A folder of pictures of any size, cut to squares of 64x64.
data_root = 'data/images'
# The shorter side becomes 64; Pillow leaves no aliasing where OpenCV does.
load = [
    dict(type='LoadImage'),
    dict(
        type='Resize',
        scale=(1000000, 64),
        keep_ratio=True,
        interpolation='bicubic',
        backend='pillow',
    ),
    dict(type='CenterCrop', crop_size=64),
]
# One stacked tensor a batch; MMEngine's default gives a list of images.
collate_fn = dict(type='mmamp.default_collate')
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    # Endless: no epoch ends, where workers would be started anew.
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=collate_fn,
    dataset=dict(
        type='ImageFolderDataset',
        data_root=data_root,
        pipeline=[
            *load,
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackImage'),
        ],
    ),
)
# The real pictures that samples are compared with.
val_dataloader = dict(
    batch_size=100,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=collate_fn,
    dataset=dict(
        type='ImageFolderDataset',
        data_root=data_root,
        pipeline=[*load, dict(type='PackImage')],
    ),
)
val_cfg = dict()
test_dataloader = val_dataloader
test_cfg = dict()
