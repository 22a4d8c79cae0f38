"""A network, data and a metric that train in a moment."""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.utils.data import Dataset

BATCH, ITERATIONS, PLANTED = 8, 20, 7
"""Items of a batch, batches of a run, and which batch is not finite."""
CLASSES, WORDS = 4, 16


class Items(Dataset[dict[str, Tensor]]):
    """Pictures, words and their classes, one weight infinite.

    Args:
        planted (int, optional): The batch that has it. Defaults to None:
            none.
    """

    def __init__(self, planted: int | None = None) -> None:
        draw = torch.Generator().manual_seed(0)
        num = BATCH * ITERATIONS
        self.picture = torch.randn(num, 3, 8, 8, generator=draw)
        self.words = torch.randint(WORDS, (num, 4), generator=draw)
        teacher = torch.randn(192, CLASSES, generator=draw)
        self.label = (self.picture.flatten(1) @ teacher).argmax(1)
        self.weight = torch.ones(num)
        if planted is not None:
            self.weight[BATCH * planted + 3] = float('inf')

    def __len__(self) -> int:
        return len(self.weight)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return dict(
            picture=self.picture[index],
            words=self.words[index],
            label=self.label[index],
            weight=self.weight[index],
        )


class Net(BaseModel):
    """A convolution, normalisation, an embedding and two linear layers.

    Args:
        width (int): Channels of the convolution. Defaults to 4.
    """

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        # A bias would have no gradient but that of rounding.
        self.conv = nn.Conv2d(3, width, 3, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.hidden = nn.Linear(36 * width, 4 * width)
        self.words = nn.Embedding(WORDS, 4 * width)
        self.head = nn.Linear(4 * width, CLASSES)

    def forward(
        self,
        picture: Tensor,
        words: Tensor,
        label: Tensor,
        weight: Tensor,
        mode: str = 'tensor',
    ) -> Any:
        """Return the loss, or that of each item."""
        x = F.relu(self.norm(self.conv(picture))).flatten(1)
        x = F.relu(self.hidden(x) + self.words(words).mean(1))
        losses = F.cross_entropy(self.head(x).float(), label, reduction='none')
        if mode == 'loss':
            return dict(loss=(losses * weight).mean())
        return losses.tolist()


class MeanLoss(BaseMetric):
    """The mean loss of all items."""

    default_prefix = 'toy'

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Keep the losses of a batch."""
        self.results += data_samples

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        """Return their mean."""
        return dict(loss=sum(results) / len(results))
