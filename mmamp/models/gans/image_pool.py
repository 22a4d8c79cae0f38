"""Generated images of some time ago, for the discriminator."""

from typing import Any

import torch
from mmengine.dist import all_gather, get_dist_info
from torch import Tensor, nn

from mmamp.randomness.samples import SampleRandom
from mmamp.utils.checks import check_int


class ImagePool(nn.Module):
    """Now and then gives an older image for a new one, which it keeps.

    Shrivastava et al., "Learning from Simulated and Unsupervised Images
    through Adversarial Training", CVPR 2017, section 2.3, as CycleGAN (Zhu et
    al., ICCV 2017, section 4) has it: until the pool is full, images are kept
    and returned. From then on an image is returned itself with probability
    1/2, else it takes the place of a random one, which is returned.

    All ranks have one pool in common, filled in the order in which one
    process would fill it: of one rank's checkpoint they all go on, any number
    of them. Their batches must have one size.

    Images are kept in float32, so that a discriminator sees of an old one
    just what it would have seen when it was new. They are a part of the
    checkpoint.

    Args:
        size (int): How many images it keeps.

    Raises:
        ValueError: If ``size`` is < 1.
    """

    # Many images, which need not be copied in each window.
    keeps_itself_finite = True
    images: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = check_int('pool_size', size)
        # The first batch, or a checkpoint, brings the shape of an image.
        self.register_buffer('images', torch.zeros(0))
        self.register_buffer('count', torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, images: Tensor, random: SampleRandom) -> Tensor:
        """Exchange some images for older ones.

        Nothing here waits for the device, and the number of operations does
        not depend on that of images.

        Args:
            images (Tensor): This rank's new ones, of shape (N, C, H, W).
            random (SampleRandom): What decides, for each image of its own.

        Returns:
            Tensor: float32 images of the same shape.
        """
        images = images.detach().float()
        swaps = random.uniform(1)[:, 0] >= 0.5
        slots = random.integers(self.size)
        rank, world_size = get_dist_info()
        images, decisions = (
            _of_all_ranks(x) for x in (images, torch.where(swaps, slots, -1))
        )
        if not len(self.images):
            self.images = images.new_zeros((self.size, *images.shape[1:]))
        return self._exchange(images, decisions)[rank::world_size]

    def _exchange(self, images: Tensor, decisions: Tensor) -> Tensor:
        """Exchange images that come one after the other for older ones.

        Args:
            images (Tensor): Of shape (N, C, H, W).
            decisions (Tensor): Of shape (N, ): which place of the pool an
                image takes once the pool is full; -1: none.
        """
        order = torch.arange(len(images), device=images.device)
        place = self.count + order
        fills = place < self.size
        slots = torch.where(fills, place, decisions)
        swaps = ~fills & (slots >= 0)
        slots = slots.clamp(min=0)
        # writes[j, i]: image i goes to the place that is image j's.
        # What is not finite would come back long after its window was
        # skipped.
        kept_ones = (fills | swaps) & images.isfinite().flatten(1).all(1)
        writes = (slots[:, None] == slots) & kept_ones
        writer = torch.where(writes, order, -1)
        # Who has written there before image j, and who does last of all.
        before = torch.where(order < order[:, None], writer, -1).amax(1)
        last = writer.amax(1)
        kept = self.images[slots]
        older = _chosen(before >= 0, images[before.clamp(min=0)], kept)
        # Equal places get equal values, in whatever order they are written.
        value = _chosen(last >= 0, images[last.clamp(min=0)], kept)
        self.images.index_copy_(0, slots, value)
        self.count.add_(len(images)).clamp_(max=self.size)
        return _chosen(swaps, older, images)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        """Take the images of a checkpoint, whatever their shape."""
        images = state_dict.get(f'{prefix}images')
        if images is not None:
            if len(images) not in (0, self.size):
                raise ValueError(
                    f'the checkpoint has a pool of {len(images)} images, '
                    f'but pool_size is {self.size}'
                )
            self.images = self.images.new_zeros(images.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        """Show the settings in the printed model."""
        return f'size={self.size}'


def _of_all_ranks(tensor: Tensor) -> Tensor:
    """Gather a tensor of all ranks, in the order of an update's samples."""
    return torch.stack(all_gather(tensor.contiguous()), 1).flatten(0, 1)


def _chosen(condition: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Choose between whole images, by a condition on each."""
    return torch.where(condition.view(-1, *[1] * (one.dim() - 1)), one, other)
