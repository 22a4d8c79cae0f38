"""The two sides of a GAN: their networks, and their turns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from mmamp.compat.torch import parameters_of
from mmamp.distributed.no_sync import no_sync
from mmamp.registry import MODELS, built
from mmamp.utils.averages import advance
from mmamp.utils.modules import params_of, quick_modules, unwrap

from .compiled import compile_network

ROLES = ('discriminator', 'generator')
"""The two sides, by the names that their optimizers have."""


@dataclass(frozen=True)
class Side:
    """The networks of one role, by their names in the model.

    Args:
        role (str): One of :data:`ROLES`.
        names (tuple[str, ...]): Of its networks.
    """

    role: str
    names: tuple[str, ...]

    def build(self, model: nn.Module, cfg: Any) -> None:
        """Give a model the networks of this side.

        Args:
            model (nn.Module): Gets an attribute for each.
            cfg (dict or nn.Module): Of each; a module only if there is one.

        Raises:
            TypeError: If it is neither.
        """
        if len(self.names) > 1 and not isinstance(cfg, dict):
            raise TypeError(
                f'{self.role} must be a dict, from which each of '
                f'{", ".join(self.names)} is built, but got '
                f'{type(cfg).__name__}'
            )
        for name in self.names:
            setattr(model, name, built(self.role, cfg))

    def modules(self, model: nn.Module) -> list[nn.Module]:
        """Return its networks in a model, maybe in model wrappers."""
        return [getattr(model, name) for name in self.names]

    def average(
        self, model: nn.Module, ema_config: dict[str, Any] | None
    ) -> None:
        """Give a model an average ``NAME_ema`` of each network, or None.

        Args:
            model (nn.Module): Has the networks.
            ema_config (dict, optional): Of the average.
        """
        for name in self.names:
            average = None
            if ema_config is not None:
                average = MODELS.build(
                    {'type': 'ExponentialMovingAverage', **ema_config},
                    default_args=dict(model=getattr(model, name)),
                )
            setattr(model, f'{name}_ema', average)

    def has_averages(self, model: nn.Module) -> bool:
        """Tell whether a model keeps averages of its networks."""
        return any(
            getattr(model, f'{name}_ema') is not None for name in self.names
        )

    def update_averages(
        self, model: nn.Module, skipped: bool | Tensor, copies: bool
    ) -> None:
        """Advance the averages by an update, where there are any.

        Args:
            model (nn.Module): Has the networks.
            skipped (bool or Tensor): Whether the update was.
            copies (bool): Whether they are copies of the networks still.
        """
        for name in self.names:
            average = getattr(model, f'{name}_ema')
            if average is not None:
                network = unwrap(getattr(model, name))
                advance(average, network, skipped, copies)

    def compile(self, model: nn.Module, arguments: dict[str, Any]) -> None:
        """Have torch compile the networks; see :func:`compile_network`."""
        for name in self.names:
            compile_network(name, getattr(model, name), arguments)


def networks_of(
    model: nn.Module, sides: dict[str, Side], optim_wrapper: OptimWrapperDict
) -> dict[str, nn.Module]:
    """Return what each side trains, as one module, by role.

    Its networks, and what else of the model's children its optimizer alone
    trains, such as an encoder beside them.

    Args:
        model (nn.Module): Has the networks.
        sides (dict[str, Side]): By role.
        optim_wrapper (OptimWrapperDict): By role.
    """
    found = {role: side.modules(model) for role, side in sides.items()}
    known = [network for networks in found.values() for network in networks]
    for child in model.children():
        if any(child is network for network in known):
            continue
        params = {id(param) for param in child.parameters()}
        owners = [
            role
            for role in found
            if any(
                id(param) in params
                for param in params_of(optim_wrapper[role].optimizer)
            )
        ]
        if len(owners) == 1:
            found[owners[0]].append(child)
    return {
        role: networks[0] if len(networks) == 1 else nn.ModuleList(networks)
        for role, networks in found.items()
    }


@contextmanager
def frozen(
    network: nn.Module, wrapper: OptimWrapper, own: OptimWrapper
) -> Iterator[None]:
    """Let nothing leave a gradient in the other side, and none be computed.

    A module that both sides use, and a tied weight, is trained in the turn of
    the side whose optimizer holds it.

    Args:
        network (nn.Module): The other side's.
        wrapper (OptimWrapper): The other side's, whose parameters may be in
            other modules too.
        own (OptimWrapper): Of the side that has its turn.
    """
    held = {id(param) for param in params_of(own.optimizer)}
    params = []
    for param in chain(_inside(network), params_of(wrapper.optimizer)):
        if param.requires_grad and id(param) not in held:
            param.requires_grad_(False)
            params.append(param)
    try:
        # Nor has DDP anything to wait for.
        with no_sync(network):
            yield
    finally:
        for param in params:
            param.requires_grad_(True)


def _inside(network: nn.Module) -> Iterator[nn.Parameter]:
    for module in quick_modules(network):
        for param in parameters_of(module).values():
            if param is not None:
                yield param
