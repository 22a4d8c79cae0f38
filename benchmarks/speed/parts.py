"""What loops without the Runner are made of."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmamp.registry import MODELS

from .models import MODELS_BY_NAME, OPTIMIZER, Benchmarked, RandomImages
from .variants import Variant


class Parts:
    """Networks and losses of a variant, on the CPU.

    Args:
        variant (Variant): What they are of.

    Attributes:
        generator (nn.Module): In training mode.
        discriminator (nn.Module): The same.
        gan_loss (Callable): The adversarial loss.
        penalties (list): Of the discriminator.
    """

    def __init__(self, variant: Variant) -> None:
        cfg = MODELS_BY_NAME[variant.model].config(variant.memory_format)
        layout = getattr(torch, variant.memory_format)
        self.gan_loss: Any = MODELS.build(cfg['gan_loss'])
        self.penalties: list[Any] = [
            MODELS.build(x) for x in cfg['disc_regularizers']
        ]
        self.generator: nn.Module = MODELS.build(cfg['generator'])
        self.discriminator: nn.Module = MODELS.build(cfg['discriminator'])
        net: Any
        for net in (self.generator, self.discriminator):
            net.init_weights()
            net.to(memory_format=layout).train()

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make the optimizer of a network.

        Args:
            network (nn.Module): Which.
        """
        kwargs = {k: v for k, v in OPTIMIZER.items() if k != 'type'}
        return torch.optim.Adam(network.parameters(), **kwargs)


def loader_of(model: Benchmarked) -> Any:
    """Make a shuffled loader of batches.

    Args:
        model (Benchmarked): Whose.
    """
    dataset = RandomImages(1024, model.channels, model.image_size)
    return DataLoader(dataset, model.batch_size, shuffle=True)


def normalized(images: Tensor, layout: torch.memory_format) -> Tensor:
    """Return images in float32, from -1 to 1.

    Args:
        images (Tensor): Bytes.
        layout (torch.memory_format): Of what is returned.
    """
    return (images.to(torch.float32, memory_format=layout) - 127.5) / 127.5


def latents(
    model: Benchmarked, device: torch.device
) -> tuple[Tensor, list[Tensor]]:
    """Draw noise, and labels where the model has some.

    Args:
        model (Benchmarked): For which.
        device (torch.device): Where.
    """
    num = model.batch_size
    noise = torch.randn(num, model.noise_size, device=device)
    if model.num_classes is None:
        return noise, []
    return noise, [torch.randint(model.num_classes, (num,), device=device)]
