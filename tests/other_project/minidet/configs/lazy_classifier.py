from mmengine.config import read_base
from mmengine.optim import LinearLR, OptimWrapper
from torch.optim import SGD

with read_base():
    from ._base_.lazy_runtime import *

from minidet.evaluation import TopOne
from minidet.models import Classifier

model = dict(type=Classifier)
optim_wrapper = dict(
    type=OptimWrapper, optimizer=dict(type=SGD, lr=0.1, momentum=0.9)
)
param_scheduler = dict(type=LinearLR, start_factor=0.1, end=1)
train_cfg = dict(by_epoch=True, max_epochs=2)
val_evaluator = dict(type=TopOne)
