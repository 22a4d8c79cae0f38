from mmengine.config import read_base
from mmengine.dataset import InfiniteSampler
from mmengine.optim import OptimWrapper
from torch.optim import Adam

with read_base():
    from ._base_.lazy_runtime import *

from minidet.engine import OptimWrapperConstructor
from minidet.evaluation import Brightness
from minidet.models import GAN

model = dict(type=GAN)
optim_wrapper = dict(
    constructor=OptimWrapperConstructor,
    generator=dict(optimizer=dict(type=Adam, lr=1e-3)),
    discriminator=dict(
        type=OptimWrapper,
        accumulative_counts=2,
        optimizer=dict(type=Adam, lr=1e-3),
    ),
)
train_dataloader.update(sampler=dict(type=InfiniteSampler, shuffle=True))
train_cfg = dict(by_epoch=False, max_iters=8, val_interval=4)
log_processor = dict(by_epoch=False)
default_hooks['checkpoint'].update(by_epoch=False, interval=4)
custom_hooks = [dict(type=DtypeHook, module='generator.0')]
val_evaluator = dict(type=Brightness)
