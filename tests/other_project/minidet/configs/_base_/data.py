train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(type='Blobs', pipeline=[dict(type='Jitter')]),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(type='Blobs', pipeline=[dict(type='Jitter')]),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)
val_cfg = dict()
