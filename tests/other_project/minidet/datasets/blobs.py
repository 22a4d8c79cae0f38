"""Pictures that are made where they are needed."""

import random

import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset

from minidet.registry import DATASETS, TRANSFORMS


@DATASETS.register_module()
class Blobs(BaseDataset):
    """Ten kinds of 8x8 pictures, by the row and column that are bright."""

    def __init__(self, length=40, **kwargs):
        self.length = length
        super().__init__(**kwargs)

    def load_data_list(self):
        return [dict(gt_label=i % 10, seed=i) for i in range(self.length)]


@TRANSFORMS.register_module()
class Jitter(BaseTransform):
    """Draw the picture, with noise that is other each time."""

    def transform(self, results):
        label = results['gt_label']
        generator = torch.Generator().manual_seed(random.getrandbits(32))
        noise = torch.randn(1, 8, 8, generator=generator)
        image = 0.3 * noise
        image[:, label % 8] += 1
        image[..., label // 2] += 1
        return dict(inputs=image, gt_label=torch.tensor(label))
