"""The models that are trained, and the data."""

from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmamp.registry import DATASETS, MODELS

OPTIMIZER: dict[str, Any] = dict(
    type='Adam', lr=2e-4, betas=(0.5, 0.99), fused=True
)
"""Of both networks, whoever trains them."""


@dataclass(frozen=True)
class Benchmarked:
    """A GAN from noise to images.

    Args:
        title (str): What tables call it.
        image_size (int): Height and width.
        channels (int): Of the images.
        batch_size (int): Images in an iteration.
        generator (dict): Config of the network, without its sizes.
        discriminator (dict): The same.
        iterations (int): In one turn.
        overhead (float): Time under the Runner, over that by hand, that is
            aimed at.
        over_peers (float): Time and memory, over those on top of other
            packages, that are aimed at. Defaults to 1.
        noise_size (int): Length of the latent vector. Defaults to 100.
        num_classes (int, optional): Defaults to None: unconditional.
        gan_type (str): Of the loss. Defaults to ``'vanilla'``.
        regularizers (tuple[dict]): Of the discriminator. Defaults to none.
    """

    title: str
    image_size: int
    channels: int
    batch_size: int
    generator: dict[str, Any]
    discriminator: dict[str, Any]
    iterations: int
    overhead: float = 1.03
    over_peers: float = 1.0
    noise_size: int = 100
    num_classes: int | None = None
    gan_type: str = 'vanilla'
    regularizers: tuple[dict[str, Any], ...] = ()

    def config(self, memory_format: str) -> dict[str, Any]:
        """Return the config of the model.

        Args:
            memory_format (str): ``'contiguous_format'`` or
                ``'channels_last'``.
        """
        both: dict[str, Any] = dict(image_size=self.image_size)
        if self.num_classes is not None:
            both['num_classes'] = self.num_classes
        return dict(
            type='mmamp.ImageGAN',
            noise_size=self.noise_size,
            num_classes=self.num_classes,
            generator=dict(
                self.generator,
                **both,
                out_channels=self.channels,
                noise_size=self.noise_size,
            ),
            discriminator=dict(
                self.discriminator, **both, in_channels=self.channels
            ),
            gan_loss=dict(type='mmamp.GANLoss', gan_type=self.gan_type),
            disc_regularizers=list(self.regularizers),
            memory_format=memory_format,
        )


_STYLEGAN2 = dict(channel_base=2048, channel_max=128, conv_clamp=256.0)

SMALL = dict(
    dcgan=Benchmarked(
        'DCGAN 64x64, batch 32',
        image_size=64,
        channels=3,
        batch_size=32,
        generator=dict(type='mmamp.DCGANGenerator'),
        discriminator=dict(type='mmamp.DCGANDiscriminator'),
        iterations=2,
    ),
    biggan=Benchmarked(
        'residual (BigGAN-style) 64x64, batch 16',
        image_size=64,
        channels=3,
        batch_size=16,
        noise_size=120,
        num_classes=10,
        gan_type='hinge',
        generator=dict(type='mmamp.BigGANGenerator', base_channels=16),
        discriminator=dict(type='mmamp.BigGANDiscriminator', base_channels=16),
        iterations=1,
    ),
    stylegan2=Benchmarked(
        'StyleGAN2-style 64x64 with R1, batch 16',
        image_size=64,
        channels=3,
        batch_size=16,
        noise_size=128,
        gan_type='logistic',
        generator=dict(
            type='mmamp.StyleGAN2Generator', style_size=128, **_STYLEGAN2
        ),
        discriminator=dict(type='mmamp.StyleGAN2Discriminator', **_STYLEGAN2),
        regularizers=(dict(type='mmamp.R1', weight=1.0, interval=2),),
        # As many as make a penalty due once.
        iterations=2,
    ),
    tiny=Benchmarked(
        'tiny DCGAN 32x32, batch 16',
        image_size=32,
        channels=1,
        batch_size=16,
        generator=dict(type='mmamp.DCGANGenerator', base_channels=32),
        discriminator=dict(type='mmamp.DCGANDiscriminator', base_channels=32),
        # Long enough that a cold start of the turn does not count.
        iterations=20,
        overhead=1.05,
        over_peers=1.03,
    ),
)
"""Of a size that a CPU trains in a second or less."""

LARGE = dict(
    dcgan_large=Benchmarked(
        'DCGAN 64x64, batch 256',
        image_size=64,
        channels=3,
        batch_size=256,
        generator=dict(type='mmamp.DCGANGenerator'),
        discriminator=dict(type='mmamp.DCGANDiscriminator'),
        iterations=10,
    ),
    stylegan2_large=Benchmarked(
        'StyleGAN2 256x256 with R1, batch 16',
        image_size=256,
        channels=3,
        batch_size=16,
        noise_size=512,
        gan_type='logistic',
        generator=dict(
            type='mmamp.StyleGAN2Generator',
            style_size=512,
            channel_base=16384,
            channel_max=512,
            conv_clamp=256.0,
        ),
        discriminator=dict(
            type='mmamp.StyleGAN2Discriminator',
            channel_base=16384,
            channel_max=512,
            conv_clamp=256.0,
        ),
        # As the paper has it.
        regularizers=(dict(type='mmamp.R1', weight=10.0, interval=16),),
        iterations=16,
    ),
    biggan_large=Benchmarked(
        'BigGAN 128x128, batch 32',
        image_size=128,
        channels=3,
        batch_size=32,
        noise_size=120,
        num_classes=1000,
        gan_type='hinge',
        generator=dict(type='mmamp.BigGANGenerator', base_channels=64),
        discriminator=dict(type='mmamp.BigGANDiscriminator', base_channels=64),
        iterations=5,
    ),
)
"""Of a size that an accelerator has something to do with."""

MODELS_BY_NAME = {**SMALL, **LARGE}
"""Those that ``--models`` knows."""

EMPTY = 'empty'
"""The name of a model whose training step does nothing."""


@MODELS.register_module()
class EmptyModel(BaseModel):
    """Two networks of one weight, and a training step that leaves them."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Linear(1, 1)
        self.discriminator = nn.Linear(1, 1)
        self.loss = torch.zeros(())

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Do nothing, as nobody asks for it."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Return a loss."""
        return dict(loss=self.loss)


@DATASETS.register_module()
class RandomImages(Dataset[dict[str, Any]]):
    """Images of noise, which cost nothing to load.

    Args:
        num (int): How many.
        channels (int): Of each.
        image_size (int): Height and width.
    """

    metainfo: dict[str, Any] = dict()

    def __init__(self, num: int, channels: int, image_size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (num, channels, image_size, image_size)
        self.images = torch.randint(
            256, shape, dtype=torch.uint8, generator=generator
        )
        self.labels = torch.randint(10, (num,), generator=generator)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        samples = dict(gt_label=self.labels[index])
        return dict(inputs=self.images[index], data_samples=samples)
