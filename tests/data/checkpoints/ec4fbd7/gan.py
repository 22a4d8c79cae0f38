"""What wrote the checkpoints beside it, at commit ec4fbd7.

``python -m mmamp.train gan.py --amp --amp-dtype float16``, 6 iterations; each
discriminator's window has 2 micro-batches, each generator's 4, so that both
checkpoints are of the inside of a window.
"""

default_scope = 'mmamp'
model = dict(
    type='ImageGAN',
    noise_size=4,
    generator=dict(
        type='DCGANGenerator',
        image_size=8,
        out_channels=1,
        base_channels=2,
        noise_size=4,
    ),
    discriminator=dict(
        type='DCGANDiscriminator',
        image_size=8,
        in_channels=1,
        base_channels=2,
    ),
    ema_config=dict(interval=1, momentum=0.1),
    disc_regularizers=[dict(type='R1', weight=1.0, interval=2)],
)
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(
        accumulative_counts=4, optimizer=dict(type='Adam', lr=1e-3)
    ),
    discriminator=dict(
        accumulative_counts=2, optimizer=dict(type='Adam', lr=1e-3)
    ),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='DigitsDataset', pipeline=[dict(type='PackImage')]),
)
train_cfg = dict(by_epoch=False, max_iters=6)
param_scheduler = dict(
    generator=[dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=9)],
    discriminator=[
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=9)
    ],
)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', interval=3, by_epoch=False),
)
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
