from minidet.datasets import Blobs, Jitter
from minidet.engine import DtypeHook
from mmengine.dataset import DefaultSampler, default_collate
from mmengine.hooks import CheckpointHook, LoggerHook

default_scope = 'minidet'
default_hooks = dict(
    logger=dict(type=LoggerHook, interval=1),
    checkpoint=dict(type=CheckpointHook, interval=1),
)
custom_hooks = [dict(type=DtypeHook, module='head.2')]
randomness = dict(seed=0)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(type=Blobs, pipeline=[dict(type=Jitter)]),
    sampler=dict(type=DefaultSampler, shuffle=True),
    collate_fn=dict(type=default_collate),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(type=Blobs, pipeline=[dict(type=Jitter)]),
    sampler=dict(type=DefaultSampler, shuffle=False),
    collate_fn=dict(type=default_collate),
)
val_cfg = dict()
