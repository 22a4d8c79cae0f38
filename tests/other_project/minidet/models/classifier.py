"""One optimizer, and MMEngine's own ``train_step``."""

import torch
from mmengine.model import BaseModel
from torch import nn

from minidet.registry import MODELS


class Overflowing(nn.Module):
    """Leaves what float16 can hold, if it is told to."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


@MODELS.register_module()
class Classifier(BaseModel):
    """A small network with batch norm and dropout."""

    def __init__(self, factor=1.0, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.neck = Overflowing(factor)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.1), nn.Linear(8 * 16, 10)
        )

    def forward(self, inputs, gt_label=None, mode='tensor'):
        logits = self.head(self.neck(self.backbone(inputs)))
        if mode == 'loss':
            loss = nn.functional.cross_entropy(logits.float(), gt_label)
            return dict(loss_cls=loss)
        if mode == 'predict':
            return [
                dict(pred=int(p), gt=int(g))
                for p, g in zip(torch.argmax(logits, 1), gt_label, strict=True)
            ]
        return logits
