"""The state of any optimizer: saved plain, and put back as it was."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from operator import is_
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mmamp.checkpoint.keys import INNER_OPTIMIZERS
from mmamp.checkpoint.objects import Encoder, decoded, linked, on_device
from mmamp.distributed.sharding import is_sharded
from mmamp.utils.modules import groups_of, params_of, with_inner

from .kernels import laid_out_as
from .optimizer_attributes import OptimizerAttributes, packages_of


class OptimizerState:
    """Saves an optimizer's state, and loads it.

    Torch's ``load_state_dict`` casts what it loads to the parameters' dtype,
    rebuilds containers without their settings, and knows nothing of objects;
    and an optimizer inside of another has a state of its own.

    Args:
        optimizer (Optimizer): With its parameters.

    Attributes:
        attributes (OptimizerAttributes): What it keeps beside its state.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._packages = packages_of(optimizer)
        self.attributes = OptimizerAttributes(optimizer)

    def plain(self, state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return a state that loads with ``weights_only=True``.

        Args:
            state (dict): What ``optimizer.state_dict()`` returned.

        Returns:
            tuple[dict, list[str]]: The state, with those of optimizers inside
            that it has not, and in words what it lacks.
        """
        encoder = Encoder(
            self._packages,
            params_of(self._optimizer),
            groups_of(self._optimizer),
        )
        found = encoder(state, 'state_dict()')
        for inner in self._apart():
            where = f'{type(inner).__name__}.state_dict()'
            plain = encoder(inner.state_dict(), where)
            found.setdefault(INNER_OPTIMIZERS, []).append(plain)
        return found, [
            f'{where} ({name})' for where, name in encoder.lost.items()
        ]

    def load_inner(self, states: list[dict[str, Any]]) -> None:
        """Put back those of optimizers inside that its own state lacks.

        Args:
            states (list[dict]): Of :meth:`plain`.
        """
        for each, state in zip(self._apart(), states, strict=False):
            plain = self.read(state)
            each.load_state_dict(plain)
            self._settle_states(each, plain.get('state'))

    @contextmanager
    def groups_kept(self) -> Iterator[None]:
        """Load a state, with groups that two optimizers share shared again.

        Loading makes new ones, of which schedules of the one optimizer would
        not reach the other.
        """
        outer, *inner = with_inner(self._optimizer)
        names = [
            (each, key)
            for each in (outer, *inner)
            for key, value in vars(each).items()
            if value is each.param_groups and key != 'param_groups'
        ]
        before = list(outer.param_groups)
        sharing = [each for each in inner if _same(each.param_groups, before)]
        yield
        for each in sharing:
            if _same(outer.param_groups, before):
                # Those of the one inside were loaded.
                for group, loaded in zip(
                    before, each.param_groups, strict=True
                ):
                    group.update(loaded)
            each.param_groups = outer.param_groups
        for each, key in names:
            setattr(each, key, each.param_groups)

    def _apart(self) -> list[Optimizer]:
        outer, *inner = with_inner(self._optimizer)
        saves_all = type(outer).state_dict is not Optimizer.state_dict
        if saves_all:
            return []
        return [each for each in inner if each.state is not outer.state]

    def read(self, state: dict[str, Any]) -> dict[str, Any]:
        """Undo :meth:`plain`.

        Args:
            state (dict): Plain, or as an optimizer itself has returned it.

        Raises:
            ValueError: If it holds an object of another package.
        """
        params = params_of(self._optimizer)
        found: dict[str, Any] = decoded(state, self._packages, params)
        return found

    def settle(self, state: dict[str, Any]) -> None:
        """Put right what torch has made of a state that was loaded.

        Args:
            state (dict): That was given to ``optimizer.load_state_dict``.
        """
        groups = self._optimizer.param_groups
        for group, kept in zip(
            groups, state.get('param_groups', []), strict=False
        ):
            # Torch has copied what is under parameters, with these.
            group.update((k, x) for k, x in kept.items() if type(x) is dict)
        self._settle_states(self._optimizer, state.get('state'))
        every = groups_of(self._optimizer)
        for each in with_inner(self._optimizer):
            if isinstance(each.state, MutableMapping):
                for key, value in each.state.items():
                    each.state[key] = linked(value, every)

    def _settle_states(self, optimizer: Optimizer, saved: Any) -> None:
        own = optimizer.state
        if not isinstance(saved, dict):
            return
        for index, param in enumerate(params_of(optimizer)):
            before, now = saved.get(index), own.get(param)
            if not isinstance(now, dict):
                continue
            for key, value in now.items():
                old = before.get(key) if isinstance(before, dict) else None
                now[key] = self._settled(value, old, param)

    def _settled(self, value: Any, saved: Any, param: Tensor) -> Any:
        if not isinstance(value, Tensor):
            # A container, or an object.
            if saved is None or isinstance(saved, Tensor):
                return value
            return on_device(saved, param.device)
        is_cast = (
            isinstance(saved, Tensor)
            and saved.dtype != value.dtype
            and not is_sharded(value)
            and self._keeps(saved.dtype)
        )
        if is_cast:
            value = saved.to(value.device, copy=True)
        if type(value) is Tensor and value.shape == param.shape:
            # Fused kernels go through memory, whatever the strides say.
            value = laid_out_as(value, param)
        return value

    def _keeps(self, dtype: torch.dtype) -> bool:
        """Tell whether the optimizer has chosen the dtype of a state.

        Torch's own have that of the parameters, which may be others now.
        """
        package = type(self._optimizer).__module__.partition('.')[0]
        return package != 'torch' or not dtype.is_floating_point


def _same(groups: list[Any], others: list[Any]) -> bool:
    return len(groups) == len(others) and all(map(is_, groups, others))
