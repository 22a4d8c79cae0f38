"""What regularizers share."""

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.compat.torch import BatchStatistics
from mmamp.logging.once import LogOnce
from mmamp.precision.dtypes import is_narrow
from mmamp.precision.islands import islands
from mmamp.utils.checks import check_int, check_weight

Grad = Callable[..., tuple[Tensor, ...]]


class Regularizer(nn.Module):
    """A weighted term that need not be computed at every update.

    Lazy regularisation (StyleGAN2, Karras et al., 2020, section 3.1): at
    every ``interval``-th update of its network the term is added, ``interval``
    times as heavy.

    Args:
        weight (float): Of the term.
        interval (int): Updates from one computation to the next. Defaults to
            1: at each.
        force_fp32 (bool): Whether the network is run in float32 for this
            term, outside of autocast. Defaults to False.

    Raises:
        ValueError: If ``weight`` is negative or ``interval`` no positive int.
    """

    def __init__(
        self, weight: float, interval: int = 1, force_fp32: bool = False
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.weight = check_weight(f'{name}: weight', weight)
        self.interval = check_int(f'{name}: interval', interval)
        self.force_fp32 = force_fp32
        self._log_once = LogOnce()

    def is_due(self, update: int) -> bool:
        """Tell whether the term belongs to an update.

        Args:
            update (int): Index of the network's update, from 0.

        Returns:
            bool: Whether it does; never with a weight of 0.
        """
        return self.weight > 0 and update % self.interval == 0

    def weighted(self, penalty: Tensor) -> Tensor:
        """Weight the term as it enters the loss.

        Args:
            penalty (Tensor): The term itself, a scalar.

        Returns:
            Tensor: A scalar: times ``weight`` and ``interval``.
        """
        return penalty * (self.weight * self.interval)

    def precision(
        self, like: Tensor, network: object
    ) -> AbstractContextManager[Any]:
        """Return the context that the network is run in.

        Args:
            like (Tensor): On the network's device, of any shape.
            network (object): If it is a module with batch or instance norm
                that would run in float16, it is run in float32 for the term,
                and that is logged: the second derivative of such a norm
                divides by the variance of its input, and may then not be
                finite at any scale.

        Returns:
            AbstractContextManager: To be entered.
        """
        device = like.device.type
        if self.force_fp32:
            return torch.autocast(device, enabled=False)
        if (
            torch.is_autocast_enabled(device)
            and is_narrow(torch.get_autocast_dtype(device))
            and _has_float16_norm(network)
        ):
            self._log_once(
                f'{type(self).__name__}: {type(network).__name__} has batch '
                'or instance norm, whose second derivative may not be finite '
                'in float16, and is run in float32 for this penalty; with '
                "custom_hooks=[dict(type='mmamp.PrecisionHook', "
                "rules=['normalization'])] the norms alone would be"
            )
            return torch.autocast(device, enabled=False)
        return nullcontext()


class WeightRegularizer(Regularizer):
    """A term of a network's weights alone, of either side of a GAN.

    Computed in float32, whatever the network's precision.

    Args:
        weight (float): Of the term.
        interval (int): As in :class:`Regularizer`. Defaults to 1.
    """

    def __init__(self, weight: float, interval: int = 1) -> None:
        super().__init__(weight, interval)

    def forward(self, network: nn.Module) -> Tensor:
        """Compute the weighted term.

        Args:
            network (nn.Module): Outside of model wrappers.

        Returns:
            Tensor: Scalar, float32.
        """
        device = next(network.parameters()).device.type
        with torch.autocast(device, enabled=False):
            return self.weighted(self.penalty(network))

    def check(self, network: nn.Module) -> None:
        """Refuse a network that the term is not for, when a model is built.

        Args:
            network (nn.Module): Whose weights it is of.

        Raises:
            ValueError: If there is something to refuse; by default never.
        """

    @abstractmethod
    def penalty(self, network: nn.Module) -> Tensor:
        """Compute the term, not weighted.

        Args:
            network (nn.Module): Whose weights it is of.

        Returns:
            Tensor: A scalar.
        """


def _has_float16_norm(network: object) -> bool:
    return isinstance(network, nn.Module) and any(
        isinstance(module, BatchStatistics)
        and not any(x.dtype is torch.float32 for x in islands(module))
        for module in network.modules()
    )
