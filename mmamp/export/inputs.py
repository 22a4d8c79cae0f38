"""What a network is called with, by name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor

SEED = 0
"""Of the inputs that a file is checked with."""
BATCHES = (1, 3)
"""Their batch sizes, where that is dynamic."""
TRACED = 2
"""The batch size of the trace then: of 1 it might conclude too much."""
SIDE = 16
"""The least side of images that are traced or checked."""
Runner = Callable[..., Tensor]
"""A network, or a file of one, called with its inputs in their order."""


@dataclass(frozen=True)
class Axis:
    """A side that an exported graph leaves open.

    Args:
        name (str): What it is called in the file.
        multiple (int): What it is a multiple of. Defaults to 1.
    """

    name: str
    multiple: int = 1


class Result(NamedTuple):
    """What the model makes of inputs.

    Args:
        inputs (tuple[Tensor, ...]): In their order.
        images (Tensor): Of shape (N, C, H, W).
    """

    inputs: tuple[Tensor, ...]
    images: Tensor


class Inputs(ABC):
    """What a network is called with.

    Args:
        is_dynamic (bool): Whether any number of samples goes.

    Attributes:
        names (tuple[str, ...]): Of the tensors, in their order.
        kwargs (dict): What is fixed when it is exported.
        output (str): The name of its result.
    """

    names: tuple[str, ...]
    output: str

    def __init__(self, is_dynamic: bool) -> None:
        self.is_dynamic = is_dynamic
        self.kwargs: dict[str, Any] = {}

    @property
    def axes(self) -> dict[str, dict[int, Axis]]:
        """dict[str, dict[int, Axis]]: The open sides of each input."""
        batch = {0: Axis('N')} if self.is_dynamic else {}
        return {name: dict(batch) for name in self.names}

    @abstractmethod
    def traced(self) -> tuple[Tensor, ...]:
        """Return inputs to trace a graph with."""

    @abstractmethod
    def checked(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield inputs to compare results of, always the same."""

    @property
    def truncation(self) -> dict[str, float] | None:
        """dict or None: ``psi``, in the graph, or ``threshold``, for noise."""
        return None

    @abstractmethod
    def meanings(self) -> dict[str, str]:
        """Say of each input what it is."""

    def described(self) -> list[dict[str, Any]]:
        """Return names, shapes, dtypes and meanings, as metadata."""
        found = []
        meanings = self.meanings()
        for name, tensor in zip(self.names, self.traced(), strict=True):
            shape: list[int | str] = list(tensor.shape)
            for i, axis in self.axes[name].items():
                shape[i] = axis.name
            dtype = str(tensor.dtype).removeprefix('torch.')
            found.append(
                dict(
                    name=name,
                    shape=shape,
                    dtype=dtype,
                    meaning=meanings[name],
                )
            )
        return found

    def _batches(self) -> tuple[int, ...]:
        return BATCHES if self.is_dynamic else BATCHES[:1]


class Latents(Inputs):
    """Noise, and class labels where there are some.

    Args:
        noise_size (int): Length of the latent vector.
        num_classes (int, optional): None if there are no labels.
        psi (float, optional): What the generator truncates by; None for not.
        bound (float, optional): Where the noise is truncated; None: nowhere.
        is_dynamic (bool): As in the base class.
    """

    output = 'image'

    def __init__(
        self,
        noise_size: int,
        num_classes: int | None,
        psi: float | None,
        bound: float | None,
        is_dynamic: bool,
    ) -> None:
        super().__init__(is_dynamic)
        self.noise_size = noise_size
        self.num_classes = num_classes
        self.bound = bound
        if psi is not None:
            self.kwargs = dict(truncation=psi)
        self.names = ('noise',) if num_classes is None else ('noise', 'labels')

    def traced(self) -> tuple[Tensor, ...]:
        """Return noise, and labels, of a batch."""
        return self._of(TRACED if self.is_dynamic else 1)

    def checked(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield noise, and labels, of each batch size."""
        for num in self._batches():
            yield self._of(num)

    @property
    def truncation(self) -> dict[str, float] | None:
        """dict or None: As in the base class."""
        if self.bound is not None:
            return dict(threshold=self.bound)
        psi = self.kwargs.get('truncation')
        return None if psi is None else dict(psi=psi)

    def meanings(self) -> dict[str, str]:
        """Say what noise is to be drawn, and which labels there are."""
        noise = 'standard normal numbers'
        if self.bound is not None:
            noise += f', drawn again where |z| > {self.bound:g}'
        return dict(noise=noise) | (
            {}
            if self.num_classes is None
            else dict(labels=f'classes, 0 to {self.num_classes - 1}')
        )

    def _of(self, num: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(SEED + num)
        noise = torch.randn(num, self.noise_size, generator=generator)
        if self.num_classes is None:
            return (noise,)
        labels = torch.randint(self.num_classes, (num,), generator=generator)
        return noise, labels


class Pictures(Inputs):
    """Pictures, normalised.

    Args:
        channels (int): Of a picture.
        size (tuple[int, int], optional): Height and width; None if they are
            open.
        multiple (int): What these are multiples of then.
        limits (tuple[float, float]): What black and white are.
        is_dynamic (bool): As in the base class.
    """

    names = ('image',)
    output = 'result'  # ONNX has each name once.

    def __init__(
        self,
        channels: int,
        size: tuple[int, int] | None,
        multiple: int,
        limits: tuple[float, float],
        is_dynamic: bool,
    ) -> None:
        super().__init__(is_dynamic)
        self.channels = channels
        self.size = size
        self.multiple = multiple
        self.limits = limits

    @property
    def axes(self) -> dict[str, dict[int, Axis]]:
        """dict[str, dict[int, Axis]]: The open sides of the picture."""
        axes = super().axes
        if self.size is None:
            axes['image'][2] = Axis('H', self.multiple)
            axes['image'][3] = Axis('W', self.multiple)
        return axes

    def traced(self) -> tuple[Tensor, ...]:
        """Return a batch of pictures."""
        num = TRACED if self.is_dynamic else 1
        if self.size is not None:
            return self._of(num, *self.size)
        # Sides that are equal, or one multiple, might be taken for a rule.
        side = max(self._least(), 2 * self.multiple)
        return self._of(num, side, side + self.multiple)

    def checked(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield a batch of each size, of other sides where they are open."""
        side = self._least()
        for i, num in enumerate(self._batches()):
            size = self.size or (side + i * self.multiple, side)
            yield self._of(num, *size)

    def meanings(self) -> dict[str, str]:
        """Say what a picture's numbers are."""
        low, high = self.limits
        text = f'pixels from 0 to 255 as numbers from {low:g} to {high:g}'
        if self.size is None and self.multiple > 1:
            text += f'; H and W are multiples of {self.multiple}'
        return dict(image=text)

    def _least(self) -> int:
        return self.multiple * ceil(SIDE / self.multiple)

    def _of(self, num: int, height: int, width: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(SEED + num)
        shape = (num, self.channels, height, width)
        low, high = self.limits
        return (low + (high - low) * torch.rand(shape, generator=generator),)
