"""The BigGAN of the digits, short, and saved inside of windows."""

_base_ = '../../../configs/biggan/biggan_digits-32x32.py'

train_cfg = dict(max_iters=24)
# Windows are of 8 micro-batches.
default_hooks = dict(checkpoint=dict(interval=5, save_best=None))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
custom_hooks = [dict(type='StateHook')]
val_dataloader = None
val_cfg = None
val_evaluator = None
randomness = dict(seed=0)
