# scikit-learn's handwritten digits, 8x8 grey, resized to 32x32.
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    # Endless, so that no epoch ends: there the loop would sleep for 2 s.
    sampler=dict(type='InfiniteSampler', shuffle=True),
    # One stacked tensor a batch; MMEngine's default gives a list of images.
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='DigitsDataset',
        pipeline=[
            dict(type='Resize', scale=(32, 32), interpolation='bicubic'),
            dict(type='PackImage'),
        ],
    ),
)
