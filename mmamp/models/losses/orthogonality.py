"""Orthogonal regularisation of a network's weights."""

import re
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from mmamp.registry import MODELS
from mmamp.utils.listing import listed
from mmamp.utils.suggest import did_you_mean

from .regularizer import WeightRegularizer

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@MODELS.register_module()
class Orthogonality(WeightRegularizer):
    r"""Orthogonality: :math:`\beta \|W^T W \circ (1 - I)\|_F^2`.

    Brock, Donahue and Simonyan, "Large Scale GAN Training for High Fidelity
    Natural Image Synthesis", ICLR 2019, equation 3: filters are to be
    orthogonal to each other, of whatever length. Of all trainable weights of
    two dimensions and more, a filter being what makes one output; under
    spectral norm it is the weight before the division. BigGAN's authors leave
    out the generator's shared embedding; their published code adds half of
    the equation's gradient, which is ``weight=5e-5`` here.

    Args:
        weight (float): The paper's beta. Defaults to 1e-4.
        interval (int): Updates from one computation to the next. Defaults to
            1.
        exclude (list[str]): Regular expressions of the names of modules in
            the network whose weights, and those inside of them, are left
            out. Defaults to none.

    Raises:
        TypeError: If ``exclude`` is no list of regular expressions.
        ValueError: If another value is out of its range.

    Examples:
        >>> gen_regularizers = [
        ...     dict(type='mmamp.Orthogonality', exclude=['embedding'])]
        >>> disc_regularizers = [dict(type='mmamp.Orthogonality')]
    """

    def __init__(
        self,
        weight: float = 1e-4,
        interval: int = 1,
        exclude: Sequence[str] = (),
    ) -> None:
        super().__init__(weight, interval)
        if isinstance(exclude, str) or not isinstance(exclude, Sequence):
            raise TypeError(
                'Orthogonality: exclude must be a list of regular '
                f"expressions such as ['embedding'], but got {exclude!r}"
            )
        try:
            self.exclude = [re.compile(pattern) for pattern in exclude]
        except (re.error, TypeError) as error:
            raise TypeError(
                f'Orthogonality: exclude={exclude!r} has what is no regular '
                f'expression: {error}'
            ) from error

    def check(self, network: nn.Module) -> None:
        """Refuse a network without such weights.

        Args:
            network (nn.Module): Whose weights it is of.

        Raises:
            ValueError: If ``exclude`` matches none of its modules, or all of
                its weights.
        """
        if next(self._filters(network), None) is None:
            left = ' that exclude leaves' if self.exclude else ''
            raise ValueError(
                f'Orthogonality: {type(network).__name__} has no trainable '
                f'weight of two dimensions{left}'
            )

    def penalty(self, network: nn.Module) -> Tensor:
        """Sum up the energy of the products of filters.

        Args:
            network (nn.Module): Whose weights it is of.

        Returns:
            Tensor: A scalar, float32.
        """
        terms = [_energy(filters) for filters in self._filters(network)]
        return torch.stack(terms).sum()

    def _filters(self, network: nn.Module) -> Iterator[Tensor]:
        """Yield each weight, of shape (outputs, all the rest)."""
        out = self._excluded(network) if self.exclude else set()
        for name, weight in network.named_parameters():
            if weight.dim() < 2 or not weight.requires_grad:
                continue
            owner, _, _ = name.partition('.parametrizations.')
            if owner == name:
                owner, _, _ = name.rpartition('.')
            module = network.get_submodule(owner)
            if module in out:
                continue
            is_transposed = isinstance(module, _TRANSPOSED)
            filters = weight.transpose(0, 1) if is_transposed else weight
            yield filters.flatten(1)

    def _excluded(self, network: nn.Module) -> set[nn.Module]:
        named = dict(network.named_modules())
        found: set[nn.Module] = set()
        for pattern in self.exclude:
            roots = [m for name, m in named.items() if pattern.fullmatch(name)]
            if not roots:
                names = [
                    x for x in named if x and '.parametrizations' not in x
                ]
                raise ValueError(
                    f'Orthogonality: exclude={pattern.pattern!r} matches no '
                    f'module of {type(network).__name__}; there are '
                    f'{listed(names, 20)}.'
                    f'{did_you_mean(pattern.pattern, names)}'
                )
            found.update(module for root in roots for module in root.modules())
        return found


def _energy(filters: Tensor) -> Tensor:
    """Sum up the squares of the products of different filters."""
    filters = filters if filters.dtype is torch.float64 else filters.float()
    num, size = filters.shape
    if num > 8 * size:
        # BigGAN's first layer has thousands for a few inputs: all products
        # are as many numbers squared, and those of a filter with itself,
        # which are few among so many, can be taken off.
        lengths = filters.square().sum(1)
        products = filters.T @ filters
        return products.square().sum() - lengths.square().sum()
    return 2 * (filters @ filters.T).triu(1).square().sum()
