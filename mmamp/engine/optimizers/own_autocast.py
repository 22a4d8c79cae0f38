"""Networks that run in autocast by themselves, where a loop forgets it."""

import logging
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from mmamp.compat.torch import as_it_is, tree_map
from mmamp.errors import UsageError
from mmamp.precision.dtypes import at_least_float32
from mmamp.precision.islands import Island, is_floating, islands
from mmamp.precision.placement import places_of
from mmamp.utils.modules import unwrap

from .usage import Usage

MODES = ('auto', 'networks', 'context')
"""Where an optimizer's forward passes are put in autocast."""


class OwnAutocast:
    """Sees to it that an optimizer's forward passes run in autocast.

    They do in ``with optim_wrapper.optim_context(model):``, which MMEngine's
    ``train_step`` has around its forward pass. Loops that have not are found
    at their first backward pass or step. From then on each network that the
    optimizer owns runs in a context of its own, and hands on float32, so that
    the losses outside are computed in that.

    Args:
        mode (str): ``'auto'``: as above; ``'networks'``: from the start;
            ``'context'``: such a loop is an error.
        usage (Usage): Tells what is done.
        context (Callable): Of a network: the ``optim_context`` of its
            optimizer.
        inner_context (Callable): Autocast alone, for a module inside of a
            network that is called by itself.

    Attributes:
        device_type (str): Of the parameters.
        was_reached (bool): Whether a forward pass has run in autocast.
        is_inside (bool): Whether one runs by way of this.
        has_taken_over (bool): Whether a loop was found that forgets it, in
            this run or the one that it goes on from.

    Raises:
        ValueError: If there is no such mode.
    """

    PATIENCE = 2
    """Steps that may be made without a forward pass that anybody saw."""

    def __init__(
        self,
        mode: str,
        usage: Usage,
        context: Callable[[nn.Module], AbstractContextManager[None]],
        inner_context: Callable[[], AbstractContextManager[None]],
    ) -> None:
        if mode not in MODES:
            raise ValueError(
                f'autocast must be one of {", ".join(map(repr, MODES))}, but '
                f'got {mode!r}'
            )
        self.mode = mode
        self._usage = usage
        self.context, self.inner_context = context, inner_context
        self.device_type = 'cpu'
        self.was_reached = False
        self.is_inside = False
        self.has_taken_over = False
        self._model: Callable[[], nn.Module | None] = _nothing
        self._networks: dict[str, nn.Module] = {}
        # Islands of rules, which know better.
        self._ruled: list[Island] = []
        self._is_installed = False
        self._missed_steps = 0

    def begin(
        self, model: nn.Module, params: Collection[nn.Parameter]
    ) -> None:
        """Get to know the model, before the first iteration.

        Args:
            model (nn.Module): In model wrappers or not.
            params (Collection[Parameter]): The optimizer's.
        """
        if self._networks and self._model() is model:
            return
        self._model = weakref.ref(model)
        self._networks = networks_of(model, params)
        self._is_installed = False
        if self.mode == 'networks' or self.has_taken_over:
            self._install()
            self._usage.say_once(self._described(), 'own autocast')

    @property
    def model(self) -> nn.Module | None:
        """nn.Module or None: The whole model, if it is known."""
        return self._model()

    @property
    def is_training(self) -> bool:
        """bool: Whether the model is."""
        return self.model is not None and self.model.training

    def missed(self, is_step: bool) -> bool:
        """Tell of a backward pass, or step, whose forward pass nobody saw.

        Args:
            is_step (bool): Whether it is a step.

        Returns:
            bool: Whether anything can be done about it: it is known which
            networks there are.

        Raises:
            UsageError: If the mode is ``'context'``, or nothing that could
                be done has helped.
        """
        if self.was_reached:
            return True
        if not self._networks:
            return False
        if self.mode == 'context':
            raise UsageError(
                f'{self._usage.who}: a backward pass was made, but no forward '
                'pass has run inside `with '
                'optim_wrapper.optim_context(model):`, and '
                "autocast='context' leaves it at that. autocast='networks' "
                f'puts {self._named()} in autocast; OptimWrapper, or '
                "dtype='float32', trains without"
            )
        self._install()
        if any(island.has_run for island in self._ruled):
            self.was_reached = True  # by a rule of PrecisionHook's
            return True
        self._missed_steps += is_step
        if self._missed_steps > self.PATIENCE:
            raise UsageError(
                f'{self._usage.who}: no forward pass has run inside `with '
                'optim_wrapper.optim_context(model):`, nor was '
                f'{self._named()} called, so that nothing is in mixed '
                'precision. Let the train_step enter that context; '
                "OptimWrapper, or dtype='float32', trains without"
            )
        return True

    def _install(self) -> None:
        if self._is_installed:
            return
        self._is_installed = True
        for network in self._networks.values():
            for place in reversed(places_of(network)):
                rules = [
                    x for x in islands(place.module) if x.dtype is not None
                ]
                self._ruled += rules
                if rules or place.is_of_weight:
                    continue
                is_network = place.module is unwrap(network)
                _Entry(self, is_network).install(
                    network if is_network else place.module
                )

    @contextmanager
    def entered(self, network: nn.Module | None) -> Iterator[None]:
        """Run a network, or a module of one (None), in autocast.

        Args:
            network (nn.Module, optional): The network.
        """
        if not self.was_reached:
            self.was_reached = True
            if self.mode == 'auto' and not self.has_taken_over:
                self.has_taken_over = True
                self._usage.say_once(
                    'no forward pass has run inside `with optim_wrapper.'
                    'optim_context(model):`, so that what was trained so far '
                    f'was in float32. From here on {self._described()}. '
                    "optim_wrapper=dict(autocast='networks') does so from the "
                    "start, 'context' refuses",
                    'own autocast',
                    logging.WARNING,
                )
        self.is_inside = True
        try:
            with (
                self.inner_context()
                if network is None
                else self.context(network)
            ):
                yield
        finally:
            self.is_inside = False

    def state_dict(self) -> dict[str, bool]:
        """Return what a resumed run needs to know, if anything."""
        return dict(own_autocast=True) if self.has_taken_over else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state: at once, not after another update."""
        if self.mode != 'context' and state.get('own_autocast'):
            self.has_taken_over = True
            if self._networks:
                self._install()

    def _named(self) -> str:
        return ', '.join(map(repr, self._networks))

    def _described(self) -> str:
        runs = 'runs' if len(self._networks) == 1 else 'run'
        return (
            f'{self._named()} {runs} in autocast in training, whoever calls '
            'it, and what it returns is float32'
        )


class _Entry(Island):
    """Runs a module in its optimizer's autocast, if it is in none."""

    def __init__(self, own: OwnAutocast, is_network: bool) -> None:
        super().__init__(None)
        self._own: OwnAutocast | None = own
        self._is_network = is_network

    def __getstate__(self) -> dict[str, Any]:
        # A copy is nobody's to train.
        return {**self.__dict__, '_own': None}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        own = self._own
        if own is None or own.is_inside:
            return self.run_given(*args, **kwargs)
        if torch.is_autocast_enabled(own.device_type):
            own.was_reached = True
            return self.run_given(*args, **kwargs)
        return self._enter(own, args, kwargs)

    @as_it_is
    def _enter(
        self, own: OwnAutocast, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not own.is_training:
            return self.run_given(*args, **kwargs)
        with own.entered(self.owner if self._is_network else None):
            output = self.run_given(*args, **kwargs)
        return tree_map(_widened, output)


def networks_of(
    model: nn.Module, params: Collection[nn.Parameter]
) -> dict[str, nn.Module]:
    """Return the largest modules that an optimizer owns, below the model.

    Args:
        model (nn.Module): In model wrappers or not.
        params (Collection[Parameter]): The optimizer's. What a module has
            besides them has to be frozen.

    Returns:
        dict[str, nn.Module]: By name; each in its own model wrapper, if it
        has one.
    """
    own = {id(param) for param in params}
    found = {}
    left = list(unwrap(model).named_children())
    while left:
        name, module = left.pop(0)
        inside = list(module.parameters())
        if not any(id(p) in own for p in inside):
            continue
        if all(id(p) in own or not p.requires_grad for p in inside):
            found[name] = module
        else:
            left += [
                (f'{name}.{child_name}', child)
                for child_name, child in unwrap(module).named_children()
            ]
    return found


def _widened(value: Any) -> Any:
    return at_least_float32(value) if is_floating(value) else value


def _nothing() -> None:
    return None
