"""Path-length regularisation of a generator."""

import math
from collections.abc import Callable

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from mmamp.randomness.samples import SampleRandom, normal
from mmamp.registry import MODELS

from .regularizer import Grad, Regularizer


@MODELS.register_module()
class PathLength(Regularizer):
    r"""Path length: :math:`E(\|J_w^T y\| - a)^2`, ``a`` its running mean.

    Karras et al., "Analyzing and Improving the Image Quality of StyleGAN",
    CVPR 2020, section 3.2, equation 4, with the settings of its code.

    Args:
        weight (float): Of the term. Defaults to 2.
        interval (int): Generator updates from one computation to the next.
            Defaults to 4.
        decay (float): How much of each batch's mean length enters the running
            mean, in (0, 1]. Defaults to 0.01.
        batch_shrink (int): It is computed on ``1 / batch_shrink`` of the
            batch, to save memory. Defaults to 2.
        force_fp32 (bool): Whether the generator is run in float32 for it.
            Defaults to False.

    Raises:
        ValueError: If a value is out of its range.

    Examples:
        >>> gen_regularizers = [dict(type='mmamp.PathLength')]
    """

    mean_length: Tensor

    def __init__(
        self,
        weight: float = 2.0,
        interval: int = 4,
        decay: float = 0.01,
        batch_shrink: int = 2,
        force_fp32: bool = False,
    ) -> None:
        super().__init__(weight, interval, force_fp32)
        if not 0 < decay <= 1:
            raise ValueError(
                f'PathLength: decay must be in (0, 1], but got {decay!r}'
            )
        if not isinstance(batch_shrink, int) or batch_shrink < 1:
            raise ValueError(
                'PathLength: batch_shrink must be an int >= 1, but got '
                f'{batch_shrink!r}'
            )
        self.decay = decay
        self.batch_shrink = batch_shrink
        self.register_buffer('mean_length', torch.zeros(()))

    def forward(
        self,
        synthesis: Callable[[Tensor], Tensor],
        latents: Tensor,
        grad: Grad = torch.autograd.grad,
        random: SampleRandom | None = None,
    ) -> Tensor:
        """Compute the weighted penalty on one micro-batch.

        Args:
            synthesis (Callable): From latents to images (N, C, H, W).
            latents (Tensor): ``w``, of shape (N, D) or (N, layers, D), with
                its graph to the mapping network (run, like ``synthesis``
                here, inside of :meth:`precision`).
            grad (Callable): With its signature. Defaults to
                ``torch.autograd.grad``.
            random (SampleRandom, optional): Where random numbers come
                from. Defaults to None: torch's.

        Returns:
            Tensor: Scalar, float32.
        """
        if self.force_fp32:
            latents = latents.float()
        with self.precision(latents, synthesis):
            images = synthesis(latents)
            noise = normal(random, images.shape, images.device) / math.sqrt(
                images.shape[2] * images.shape[3]
            )
            (gradient,) = grad(
                (images.float() * noise).sum(), latents, create_graph=True
            )
        with torch.autocast(latents.device.type, enabled=False):
            lengths = gradient.square().sum(-1)
            if lengths.dim() > 1:  # a latent vector for each layer
                lengths = lengths.mean(1)
            lengths = lengths.sqrt()
            mean = lengths.detach().mean()
            all_reduce(mean, 'mean')  # the same on all ranks
            self.mean_length.lerp_(mean, self.decay)
            return self.weighted((lengths - self.mean_length).square().mean())
