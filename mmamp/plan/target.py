"""A device that is not there, played by the CPU."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mmamp.compat.torch import (
    autocast_knows,
    no_autocast,
    replaced_autocast,
    tree_map,
)
from mmamp.precision.devices import playing
from mmamp.precision.names import name_of

from . import autocast_lists
from .autocast_kernels import asked, can_be_asked
from .autocast_lists import AS_OUTPUT, CPU, FULL, LOW, REFUSED, WIDEST

GRANULARITY = dict(cuda=512)
"""Bytes that allocators round up to; 1 where it is not known."""
LISTS = dict(cuda=autocast_lists.CUDA)
"""What is known of autocast of devices that are planned for."""


class Target:
    """Has the CPU's autocast do what another device's does.

    Args:
        device (str): As in ``torch.device(...).type``; ``'cpu'`` changes
            nothing.
        place (Callable): Says where in a model's code a call stands.

    Attributes:
        refused (Counter[tuple[str, str]]): Operators that autocast refuses to
            run there, and where.
        differs (Counter[tuple[str, str, str]]): Operators that compute in
            another dtype there than here: the operator, what is done there
            and here.
    """

    def __init__(self, device: str, place: Callable[[], str | None]) -> None:
        self.device = device
        self._place = place
        self._kinds: dict[Any, str | None] = {}
        self.refused: Counter[tuple[str, str]] = Counter()
        self.differs: Counter[tuple[str, str, str]] = Counter()

    @property
    def granularity(self) -> int:
        """int: Bytes that the device's allocator rounds up to."""
        return GRANULARITY.get(self.device, 1)

    @property
    def source(self) -> str:
        """str: Whence it is known what autocast does there, in words."""
        if self.device == 'cpu':
            return "the CPU's own kernels"
        name = self.device.upper()
        if can_be_asked():
            return f"{name}'s own kernels of torch {torch.__version__}"
        return f"a table of torch's documentation of {name}"

    @contextmanager
    def played(self) -> Iterator[None]:
        """Have the CPU stand for the device meanwhile."""
        if self.device == 'cpu':
            yield
            return
        own = LISTS[self.device]
        here = set(autocast_knows('CPU'))
        both = {x for x in own if own[x] == CPU.get(x) == LOW and x in here}
        names = (set(own) | here) - both
        kernels = {x: partial(self._run, x) for x in sorted(names)}
        with playing(self.device), replaced_autocast('CPU', kernels):
            yield

    def _run(
        self,
        name: str,
        op: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Run an operator as autocast does on the device."""
        kind = self._kind(name, op, args, kwargs)
        here = CPU.get(name)
        if kind == REFUSED:
            self.refused[name, self._place() or ''] += 1
            kind = FULL
        elif kind != here and _is_low(args):
            self.differs[name, kind or '', here or ''] += 1
        with no_autocast('CPU'):
            if kind == AS_OUTPUT:
                return _in_float32(op, args, kwargs)
            dtype = {
                LOW: torch.get_autocast_dtype('cpu'),
                FULL: torch.float32,
                WIDEST: torch.float32 if _is_full(args) else None,
            }.get(kind or '')
            if dtype is None:
                return op(*args, **kwargs)
            cast = partial(_cast, dtype=dtype)
            return op(*tree_map(cast, args), **tree_map(cast, kwargs))

    def _kind(self, name: str, op: Any, args: Any, kwargs: Any) -> str | None:
        """Say what autocast does there, as surely as it can be known."""
        known = LISTS[self.device].get(name)
        if not can_be_asked() or known == WIDEST:
            return known
        if name not in self._kinds:
            in_half = partial(_cast, dtype=torch.float16)
            full = partial(_cast, dtype=torch.float32)
            as_given = full if known == LOW else in_half
            given = tree_map(as_given, (args, kwargs))
            self._kinds[name] = asked(op, given[0], given[1], self.device)
        return self._kinds[name]

    def state(self) -> dict[str, Any]:
        """Return what was found out, for ``plan.json``."""
        return dict(
            source=self.source,
            refused=[
                dict(operator=name, place=place)
                for name, place in sorted(self.refused)
            ],
            differs=[
                dict(operator=name, there=there or None, here=here or None)
                for name, there, here in sorted(self.differs)
            ],
        )


def _is_eligible(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.dtype is not torch.float64
    )


def _cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if _is_eligible(value) else value


def _dtypes(args: Any) -> set[str]:
    found: set[str] = set()

    def note(x: Any) -> Any:
        if _is_eligible(x):
            found.add(name_of(x.dtype))
        return x

    tree_map(note, args)
    return found


def _is_low(args: Any) -> bool:
    """Tell whether an operator is given something of low precision."""
    return bool(_dtypes(args) - {'float32'})


def _is_full(args: Any) -> bool:
    return 'float32' in _dtypes(args)


def _in_float32(op: Any, args: Any, kwargs: Any) -> Any:
    """Have an operator compute in float32 by its own argument."""
    first = args[0] if args else None
    if not _is_eligible(first) or kwargs.get('dtype') is not None:
        return op(*args, **kwargs)
    try:
        return op(*args, **{**kwargs, 'dtype': torch.float32})
    except (RuntimeError, TypeError):
        # An overload without it, or with it by position.
        return op(_cast(first, torch.float32), *args[1:], **kwargs)
