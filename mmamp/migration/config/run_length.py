"""How long a run is, and in what it is counted."""

from dataclasses import dataclass

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value

LEFT = 'left for the configs that inherit it and know how long a run is'
"""What is said of a part that does not make sense without the rest."""


@dataclass(frozen=True)
class RunLength:
    """The length of training, as a config has it.

    Args:
        by_epoch (bool, optional): Whether it is counted in epochs, not
            iterations; None if the config does not say.
        total (Value, optional): How many; None if the config does not say.
    """

    by_epoch: bool | None = None
    total: Value | None = None


def run_length(context: Context) -> RunLength:
    """Find the length of training, in its 1.x place or else where 0.x had it.

    MMCV's ``IterBasedRunner`` makes ``by_epoch=False`` the default of every
    other setting, so that a runner without a length tells something too.
    """
    counted = _by_epoch(context)
    places = {
        False: (
            ('train_cfg', 'max_iters'),
            ('total_iters',),
            ('runner', 'max_iters'),
        ),
        True: (
            ('train_cfg', 'max_epochs'),
            ('runner', 'max_epochs'),
            ('total_epochs',),
        ),
    }
    for by_epoch, keys in places.items():
        found = [x for k in keys if (x := context.get(*k)) is not None]
        total = next((x for x in found if x.plain is not None), None)
        if total is not None and counted in (None, by_epoch):
            return RunLength(by_epoch, total)
    return RunLength(counted)


def _by_epoch(context: Context) -> bool | None:
    by_epoch = context.get('train_cfg', 'by_epoch')
    if by_epoch is not None:
        return bool(by_epoch.plain)
    if context.get('train_cfg', 'max_iters') is not None:
        return False
    if context.get('train_cfg', 'max_epochs') is not None:
        return True
    for keys in (('train_cfg', 'type'), ('runner', 'type')):
        kind = context.get(*keys)
        name = '' if kind is None else str(kind.plain)
        if 'Epoch' in name:
            return True
        if 'Iter' in name:
            return False
    return None
