"""Several optimizers that are stepped as one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from .traits import traits_of


class JointOptimizer(Optimizer):
    """Optimizers of different parameters, as one.

    Schedules, clipping, the loss scale and skipped steps are those of one
    optimizer. Its state is in torch's format; what of its members' is not
    stands in it under ``members``.

    Args:
        members (Sequence[Optimizer]): Whose groups are its own, in this order.

    Attributes:
        members (list[Optimizer]): The optimizers.

    Raises:
        ValueError: If the step of one evaluates the loss itself, or two have
            the same parameter.
    """

    def __init__(self, members: Sequence[Optimizer]) -> None:
        self.members = list(members)
        traits = [traits_of(member) for member in self.members]
        for member, trait in zip(self.members, traits, strict=True):
            if trait.evaluates:
                raise ValueError(
                    f'{type(member).__name__} evaluates the loss itself, and '
                    'cannot be stepped together with others'
                )
        self.is_second_order = any(trait.second_order for trait in traits)
        super().__init__(self._groups(), {})
        # What MMEngine takes for the settings of parameters in no group.
        self.defaults = self.members[0].defaults
        self.state = _States(self.members)  # type: ignore[assignment]
        if any(hasattr(member, 'train') for member in self.members):
            self.train, self.eval = self._train, self._eval

    def _groups(self) -> list[dict[str, Any]]:
        return [group for x in self.members for group in x.param_groups]

    def _train(self) -> None:
        for member in self.members:
            if hasattr(member, 'train'):
                member.train()

    def _eval(self) -> None:
        for member in self.members:
            if hasattr(member, 'eval'):
                member.eval()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.members,)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refuse one that no member has."""
        if not any(param_group is group for group in self._groups()):
            raise ValueError(
                'add the group to one of `members`, whose optimizer it is to '
                'be trained by, before they are joined'
            )
        super().add_param_group(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step each of the members.

        Args:
            closure (Callable, optional): Evaluated once, before. Defaults to
                None.

        Returns:
            Any: What the closure has returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for member in self.members:
            member.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take the gradients of all members away.

        Args:
            set_to_none (bool): Whether there are none then, or zeros.
        """
        for member in self.members:
            member.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all, in torch's format.

        Returns:
            dict: ``state`` by the numbers of parameters, ``param_groups``,
            and in ``members`` what else each of them has.
        """
        state: dict[int, Any] = {}
        groups: list[dict[str, Any]] = []
        rest: list[dict[str, Any]] = []
        first = 0
        for member in self.members:
            own = dict(member.state_dict())
            keyed = own.pop('state', {})
            packed = own.pop('param_groups', None)
            if packed is None:
                packed = _packed(member)
            groups += [
                {**group, 'params': [first + x for x in group['params']]}
                for group in packed
            ]
            for key in list(keyed):
                if isinstance(key, int):
                    state[first + key] = keyed[key]
                else:
                    own.setdefault('state', {})[key] = keyed[key]
            rest.append(own)
            first += sum(len(group['params']) for group in packed)
        return dict(state=state, param_groups=groups, members=rest)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Give each member its part of a saved state.

        Args:
            state_dict (dict): Of :meth:`state_dict`; it is left as it is.

        Raises:
            ValueError: If it is of other groups.
        """
        saved = state_dict['param_groups']
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f'the saved state has {len(saved)} parameter groups, but '
                f'{" and ".join(type(x).__name__ for x in self.members)} have '
                f'{len(self.param_groups)} together'
            )
        rest = state_dict.get('members') or [{} for _ in self.members]
        begin = 0
        for member, own in zip(self.members, rest, strict=True):
            end = begin + len(member.param_groups)
            member.load_state_dict(
                _part(state_dict['state'], saved[begin:end], own)
            )
            begin = end
        self.param_groups = self._groups()  # loading has made new ones


class _States(Mapping[Any, Any]):
    """The members' states, as they are when asked for."""

    def __init__(self, members: list[Optimizer]) -> None:
        self._members = members

    def __getitem__(self, key: Any) -> Any:
        for member in self._members:
            if key in member.state:
                return member.state[key]
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return (key for member in self._members for key in member.state)

    def __len__(self) -> int:
        return sum(len(member.state) for member in self._members)


def _packed(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Return groups as torch's state dicts have them."""
    packed: list[dict[str, Any]] = []
    first = 0
    for group in optimizer.param_groups:
        count = len(group['params'])
        packed.append({**group, 'params': list(range(first, first + count))})
        first += count
    return packed


def _part(
    state: dict[Any, Any], groups: list[dict[str, Any]], rest: dict[str, Any]
) -> dict[str, Any]:
    """Return what one optimizer has saved."""
    numbers = [x for group in groups for x in group['params']]
    renumbered = {x: own for own, x in enumerate(numbers)}
    part = dict(
        rest,
        state={
            **rest.get('state', {}),
            **{own: state[x] for x, own in renumbered.items() if x in state},
        },
        param_groups=[
            {**group, 'params': [renumbered[x] for x in group['params']]}
            for group in groups
        ],
    )
    return part
