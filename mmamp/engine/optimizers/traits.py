"""What an optimizer's class says of how it is stepped."""

import inspect
from dataclasses import dataclass, replace
from typing import Any

from torch.optim import Optimizer

RECORD = 'mmamp_traits'
"""Class attribute of an optimizer's that says what its methods do not show:
a dict of :class:`Traits`' arguments."""


@dataclass(frozen=True)
class Traits:
    """How an optimizer is stepped, beyond ``step()``.

    Args:
        evaluates (bool): Whether its step needs a closure that computes the
            loss and its gradients again, as SAM's and LBFGS' do. Defaults to
            False.
        second_order (bool): Whether its step differentiates the gradients, so
            that they have to be made with ``create_graph=True``, as
            AdaHessian's does. Defaults to False.
    """

    evaluates: bool = False
    second_order: bool = False


_KNOWN: dict[str, dict[str, dict[str, bool]]] = {
    # Of these the signature says that a closure is optional.
    'pytorch_optimizer': {
        **dict.fromkeys(
            ('SAM', 'GSAM', 'WSAM', 'LookSAM', 'FriendlySAM', 'BSAM', 'AliG'),
            dict(evaluates=True),
        ),
        **dict.fromkeys(('AdaHessian', 'SophiaH'), dict(second_order=True)),
    },
    'heavyball': dict(SAMWrapper=dict(evaluates=True)),
    'torch_optimizer': dict(Adahessian=dict(second_order=True)),
}
"""By package and class, what neither methods nor properties show
(pytorch-optimizer 4.1.0, heavyball 3.2.1, torch-optimizer 0.3.0)."""


def traits_of(optimizer: Optimizer) -> Traits:
    """Return how an optimizer is stepped.

    Args:
        optimizer (Optimizer): Whose class has a record ``mmamp_traits``, or
            methods that show it: a ``step`` whose ``closure`` has no default,
            a property ``is_second_order``; else packages that are known.
    """
    closure = inspect.signature(optimizer.step).parameters.get('closure')
    shown = Traits(
        evaluates=closure is not None and closure.default is closure.empty,
        second_order=bool(getattr(optimizer, 'is_second_order', False)),
    )
    told: dict[str, Any] = {}
    for cls in reversed(type(optimizer).__mro__):
        package = cls.__module__.partition('.')[0]
        told.update(_KNOWN.get(package, {}).get(cls.__name__, {}))
        told.update(vars(cls).get(RECORD, {}))
    return replace(shown, **told)
