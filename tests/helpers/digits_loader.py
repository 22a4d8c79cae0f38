"""The digits, as the configs of small runs take them."""


def digits_loader(batch_size):
    return dict(
        batch_size=batch_size,
        num_workers=0,
        sampler=dict(type='InfiniteSampler', shuffle=True),
        collate_fn=dict(type='default_collate'),
        dataset=dict(type='DigitsDataset', pipeline=[dict(type='PackImage')]),
    )
