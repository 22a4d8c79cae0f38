"""What a case is, and how networks of others are found."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.weights.recipes import noise

COMMITS = {
    'BasicSR': '8d56e3a',
    'mmagic': '0a560bb',
    'mmgeneration': 'ccd1f56',
    'BigGAN-PyTorch': '9845943',
    'stylegan2-ada-pytorch': 'd72cc7d',
    'examples': '77f55b9',
    'contrastive-unpaired-translation': 'b3ac297',
    'pytorch-gan-collections': '860e90b',
}
"""Of the repositories, in FOLDER, under these names."""
Build = Callable[[], nn.Module]
Call = Callable[[Any, tuple[Tensor, ...]], Tensor]


def plainly(network: Any, inputs: tuple[Tensor, ...], **kwargs: Any) -> Tensor:
    """Call a network with its inputs."""
    result: Tensor = network(*inputs, **kwargs)
    return result


@dataclass(frozen=True)
class Inputs:
    """What both are called with.

    Args:
        shape (tuple[int, ...]): Of the first, which gets a gradient.
        scale (float): Its deviation; images have that of uniform pixels.
        classes (int, optional): Of the second. Defaults to None: there is
            none.
    """

    shape: tuple[int, ...]
    scale: float = 1.0
    classes: int | None = None

    def make(self) -> tuple[Tensor, ...]:
        """Make them, the same each time."""
        first = noise(self.shape, seed=0) * self.scale
        if self.classes is None:
            return (first,)
        return first, torch.arange(len(first)) * 3 % self.classes


@dataclass(frozen=True)
class Network:
    """One network of a case.

    Args:
        build (Callable): Makes theirs.
        inputs (Inputs): What both are called with.
        call (Callable): Calls theirs. Defaults to :func:`plainly`.
    """

    build: Build
    inputs: Inputs
    call: Call = plainly


@dataclass(frozen=True)
class Case:
    """Networks that are converted together.

    Args:
        name (str): What the table calls it.
        repository (str): A key of :data:`COMMITS`.
        format (str): Of the weights.
        model (dict): Of our config.
        networks (dict[str, Network]): By their names in the model.
        is_large (bool): Whether it is of a published size.
        low_too (bool): Whether it is compared in low precisions too, which
            take a CPU minutes at a published size.
        fixed_norms (bool): Whether theirs takes the divisors of spectral
            norm for constants when it computes gradients.
    """

    name: str
    repository: str
    format: str
    model: dict[str, Any]
    networks: dict[str, Network] = field(default_factory=dict)
    is_large: bool = False
    low_too: bool = False
    fixed_norms: bool = False


def images_of(*shape: int) -> Inputs:
    """Describe a batch of images.

    Args:
        *shape (int): (N, C, H, W).
    """
    return Inputs(shape, scale=3**-0.5)


def noise_of(num: int, size: int) -> Inputs:
    """Describe a batch of latents.

    Args:
        num (int): How many.
        size (int): Their length.
    """
    return Inputs((num, size))


def labelled(inputs: Inputs, classes: int) -> Inputs:
    """Describe the same with labels.

    Args:
        inputs (Inputs): Without them.
        classes (int): How many there are.
    """
    return replace(inputs, classes=classes)


def class_of(module: str, name: str, **kwargs: Any) -> Build:
    """Describe a network.

    Args:
        module (str): Where its class is.
        name (str): The class.
        **kwargs: Its arguments.
    """

    def build() -> nn.Module:
        package = import_module(module)
        # What its registry is asked for by name.
        for folder in getattr(package, '__path__', ()):
            for file in Path(folder).glob('*modules.py'):
                import_module(f'{module}.{file.stem}')
        network: nn.Module = getattr(package, name)(**kwargs)
        return network

    return build


def from_mmagic(editor: str, name: str, **kwargs: Any) -> Build:
    """Describe a network of MMagic's; see :func:`class_of`."""
    return class_of(f'mmagic.models.editors.{editor}', name, **kwargs)


def from_mmgen(family: str, name: str, **kwargs: Any) -> Build:
    """Describe a network of MMGeneration's; see :func:`class_of`."""
    return class_of(f'mmgen.models.architectures.{family}', name, **kwargs)
