# A classifier of digits, whose features FID and KID on digits are taken from.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=1000, val_interval=500)
model = dict(type='DigitFeatures')
optim_wrapper = dict(optimizer=dict(type='Adam', lr=3e-3))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=1000, eta_min=0, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(save_param_scheduler=True))
# It makes no samples, which the hook of the base would show.
custom_hooks = [dict(type='AmpMonitorHook'), dict(type='StateHook')]
randomness = dict(seed=0)

train_dataloader = dict(dataset=dict(split='train'))
val_dataloader = dict(
    batch_size=360,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='DigitsDataset',
        split='val',
        pipeline=[
            dict(type='Resize', scale=(32, 32), interpolation='bicubic'),
            dict(type='PackImage'),
        ],
    ),
)
val_cfg = dict()
val_evaluator = dict(type='Accuracy')
