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
# It makes no samples, which the hook of the base would show.
custom_hooks = [dict(type='AmpMonitorHook'), dict(type='StateHook')]
randomness = dict(seed=0)

train_dataloader = dict(dataset=dict(split='train'))
val_dataloader = dict(batch_size=360, dataset=dict(split='val'))
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy')
test_evaluator = val_evaluator
