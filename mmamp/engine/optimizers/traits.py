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


_KNOWN = {
    # Of these the signature says that a closure is optional.
    'evaluates': (
        'pytorch_optimizer.SAM',
        'pytorch_optimizer.GSAM',
        'pytorch_optimizer.WSAM',
        'pytorch_optimizer.LookSAM',
        'pytorch_optimizer.FriendlySAM',
        'pytorch_optimizer.BSAM',
        'pytorch_optimizer.AliG',
        'heavyball.SAMWrapper',
    ),
    'second_order': (
        'pytorch_optimizer.AdaHessian',
        'pytorch_optimizer.SophiaH',
        'torch_optimizer.Adahessian',
    ),
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
        name = f'{cls.__module__.partition(".")[0]}.{cls.__name__}'
        told.update({key: True for key, x in _KNOWN.items() if name in x})
        told.update(vars(cls).get(RECORD, {}))
    return replace(shown, **told)
