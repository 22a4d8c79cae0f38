# Pairs in two folders: data/paired/{train,val}/{source,target}. Training
# pictures are resized to 286x286, cropped and flipped, as pix2pix has it.
data_root = 'data/paired'
load = [
    dict(type='LoadImage'),
    dict(type='LoadImage', key='gt_img'),
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
        type='PairedFolderDataset',
        data_root=data_root,
        source='train/source',
        target='train/target',
        pipeline=[
            *load,
            # The same crop, and the same flip, of both.
            dict(
                type='TransformBroadcaster',
                mapping=dict(img=['img', 'gt_img']),
                auto_remap=True,
                share_random_params=True,
                transforms=[
                    dict(
                        type='Resize',
                        scale=(286, 286),
                        interpolation='bicubic',
                        backend='pillow',
                    ),
                    dict(type='RandomCrop', size=256),
                    dict(type='RandomFlip', prob=0.5),
                ],
            ),
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
        type='PairedFolderDataset',
        data_root=data_root,
        source='val/source',
        target='val/target',
        pipeline=[
            *load,
            dict(
                type='TransformBroadcaster',
                mapping=dict(img=['img', 'gt_img']),
                auto_remap=True,
                transforms=[
                    dict(
                        type='Resize',
                        scale=(256, 256),
                        interpolation='bicubic',
                        backend='pillow',
                    )
                ],
            ),
            dict(type='PackImage'),
        ],
    ),
)
val_cfg = dict()
test_dataloader = val_dataloader
test_cfg = dict()
