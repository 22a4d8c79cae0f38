"""Adaptive discriminator augmentation."""

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from mmamp.logging.scalars import AUGMENT_P, R_T
from mmamp.randomness.samples import SampleRandom
from mmamp.registry import MODELS
from mmamp.utils.checks import (
    check_int,
    check_names,
    check_weight,
    check_within,
)

from .augmentation import Augmentation
from .bgc import (
    BLITS,
    COLORS,
    GEOMETRY,
    TRANSFORMS,
    Draws,
    draw_blit,
    draw_colors,
    draw_geometry,
)
from .colors import colored
from .warp import copied, warped


@MODELS.register_module()
class ADA(Augmentation):
    r"""Augmentations as strong as the discriminator overfits.

    Karras, Aittala, Hellsten, Laine, Lehtinen and Aila, "Training Generative
    Adversarial Networks with Limited Data", NeurIPS 2020. Each transform is
    made with probability ``p``, by itself, on real and generated images,
    whoever learns from them. All changes of geometry are one affine map and
    one sampling, see :func:`~mmamp.models.augment.warp.warped`; where there
    are only flips, quarter turns and translations by whole pixels, pixels are
    copied as they are. Section 3.1: :math:`r_t = E[\mathrm{sign}(D(real))]`
    over the last ``interval`` updates says how far the discriminator
    overfits, and ``p`` goes up where it is above ``target``, else down, not
    below 0; as in the authors' code it may come above 1, where every
    transform is always made.

    ``p`` and the sums are buffers: they are in checkpoints, one over the
    ranks, and a window that was skipped leaves nothing in them. A run that is
    resumed inside of a window, and by another number of ranks, goes on from
    what the first rank has seen of it. A log shows ``augment_p``, and ``r_t``
    as it was last. Nothing waits for the device.

    Args:
        target (float, optional): What r_t shall be, in (-1, 1); None: ``p``
            stays as it is. Defaults to 0.6.
        p (float): Probability of each transform, in [0, 1], at first.
            Defaults to 0.
        interval (int): Updates of the discriminator from one adjustment to
            the next. Defaults to 4.
        ada_kimg (float): Thousands of real images in which ``p`` comes from 0
            to 1, if r_t is above the target all the time. Defaults to 500.
        transforms (Sequence[str]): Names out of ``'xflip'``, ``'rotate90'``,
            ``'xint'`` (translation by whole pixels, up to an eighth of the
            size), ``'scale'``, ``'rotate'``, ``'aniso'`` (scaling of one
            side), ``'xfrac'`` (translation), ``'brightness'``,
            ``'contrast'``, ``'lumaflip'``, ``'hue'`` and ``'saturation'``,
            of which grey images have not the last two. Defaults to all of
            them.

    Raises:
        ValueError: If a value is out of its range, a transform is unknown, or
            nothing would ever be transformed.

    Examples:
        >>> augment = dict(type='mmamp.ADA', target=0.6)
        >>> fixed = dict(type='mmamp.ADA', target=None, p=0.2)
    """

    p: Tensor
    r_t: Tensor
    signs: Tensor
    num_images: Tensor
    rank_statistics = ('signs', 'num_images')

    def __init__(
        self,
        target: float | None = 0.6,
        p: float = 0.0,
        interval: int = 4,
        ada_kimg: float = 500.0,
        transforms: Sequence[str] = TRANSFORMS,
    ) -> None:
        super().__init__()
        if target is not None:
            check_within('ADA: target', target, -1, 1)
        check_within('ADA: p', p, 0, 1)
        if target is None and p == 0:
            raise ValueError(
                'ADA: target=None and p=0 never transform anything: give a '
                'fixed p, such as p=0.2, or a target, such as 0.6'
            )
        if check_weight('ADA: ada_kimg', ada_kimg) == 0:
            raise ValueError(f'ADA: ada_kimg must be > 0, but got {ada_kimg}')
        self.target = target
        self.interval = check_int('ADA: interval', interval)
        self.ada_kimg = ada_kimg
        self.transforms = check_names(
            'ADA: transforms', transforms, TRANSFORMS
        )
        for name, value in (
            *(('p', p), ('r_t', 0.0)),
            *(('signs', 0.0), ('num_images', 0.0)),
        ):
            # A fixed p is the config's.
            self.register_buffer(
                name,
                torch.tensor(float(value)),
                persistent=target is not None,
            )

    def check_loss(self, gan_type: str | None) -> None:
        """Refuse a loss whose logits have no sign to go by.

        Args:
            gan_type (str, optional): Of ``GANLoss``; None of any other.

        Raises:
            ValueError: If ``target`` is given, and the loss is not one that
                draws the line between real and generated images at 0.
        """
        if self.target is not None and gan_type in ('lsgan', 'wgan'):
            raise ValueError(
                f'ADA: target={self.target} goes by the sign of the logits, '
                f'which says nothing with gan_type={gan_type!r}: give '
                "'vanilla', 'logistic' or 'hinge', or target=None and a "
                'fixed p, such as p=0.2'
            )

    # ---- how strong ---------------------------------------------------------

    @torch.no_grad()
    def observe(self, logits: Tensor) -> None:
        """Add up the signs of a micro-batch of real images.

        Args:
            logits (Tensor): Of shape (N, ...); those of an image are averaged.
        """
        if self.target is not None:
            signs = logits.float().sign().flatten(1).mean(1)
            self.signs += signs.sum()
            self.num_images += len(logits)

    @torch.no_grad()
    def adapt(self, updates: int) -> None:
        """Adjust ``p`` every ``interval`` updates; on all ranks.

        By as many images as were seen since: those of skipped windows are
        not among them.

        Args:
            updates (int): How often the discriminator was updated by now,
                skipped windows included.
        """
        if self.target is None or updates % self.interval:
            return
        sums = torch.stack([self.signs, self.num_images])
        all_reduce(sums, 'sum')
        # Of means over ranks, if a checkpoint was saved meanwhile.
        num = sums[1].round()
        r_t = sums[0] / num.clamp(min=1)
        change = (r_t - self.target).sign() * num / (1000 * self.ada_kimg)
        self.p.copy_((self.p + change).clamp(min=0))
        self.r_t.copy_(torch.where(num > 0, r_t, self.r_t))
        self.signs.zero_()
        self.num_images.zero_()

    def scalars(self) -> dict[str, Tensor]:
        """Return ``p``, and r_t as it was last, if they change."""
        if self.target is None:
            return {}
        return {AUGMENT_P: self.p.clone(), R_T: self.r_t.clone()}

    # ---- what is done -------------------------------------------------------

    def transform(self, images: Tensor, random: SampleRandom | None) -> Tensor:
        """Transform images, each in its own way.

        Args:
            images (Tensor): Of shape (N, C, H, W); float32 or float64, of
                three channels or one if colours are changed.
            random (SampleRandom or None): Where random numbers come from;
                None is torch's.

        Raises:
            ValueError: If it is another number of channels.
        """
        if images.shape[1] not in (1, 3) and self._has(COLORS):
            raise ValueError(
                f'ADA: images have {images.shape[1]} channels, but '
                f'{", ".join(x for x in self.transforms if x in COLORS)} are '
                'for 3, or 1: give other transforms'
            )
        draws = Draws(images, random, self.p, self.transforms)
        height, width = images.shape[2:]
        blit = draw_blit(draws, height, width)
        inverse, is_moved = draw_geometry(draws, blit, height, width)
        if self._has(BLITS):
            still = copied(images, blit)
        else:
            still = images
        if self._has(GEOMETRY):
            moved = warped(images, inverse)
            images = moved.where(is_moved[:, None, None, None], still)
        else:
            images = still
        if self._has(COLORS):
            images = colored(images, *draw_colors(draws))
        return images

    def _has(self, some: Sequence[str]) -> bool:
        return any(name in some for name in self.transforms)

    def extra_repr(self) -> str:
        """Show the settings in the printed model."""
        return (
            f'target={self.target}, interval={self.interval}, '
            f'ada_kimg={self.ada_kimg}, transforms={self.transforms}'
        )
