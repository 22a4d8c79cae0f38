"""Collating for configs that are the base of another package's."""

from collections.abc import Sequence
from typing import Any

from mmengine import dataset
from torch import Tensor

from mmamp.errors import DataError
from mmamp.registry import FUNCTIONS


@FUNCTIONS.register_module()  # type: ignore[untyped-decorator]
def default_collate(
    data_batch: Sequence[Any], _scope_: str | None = None
) -> Any:
    """Collate as MMEngine does, for ``_base_ = 'mmamp::...'`` too.

    Such a base has ``_scope_`` in every dict with a type. Where MMEngine makes
    a collate function of one, it hands that on to the function.

    Args:
        data_batch (Sequence): Samples.
        _scope_ (str, optional): Not used. Defaults to None.

    Returns:
        Any: A batch, structured like a sample.

    Raises:
        DataError: If its pictures are of several shapes; one line.

    Examples:
        >>> train_dataloader = dict(
        ...     batch_size=4,
        ...     num_workers=0,
        ...     sampler=dict(type='InfiniteSampler', shuffle=True),
        ...     collate_fn=dict(type='mmamp.default_collate'),
        ...     dataset=dict(
        ...         type='mmamp.DigitsDataset',
        ...         pipeline=[dict(type='mmamp.PackImage')]))
    """
    try:
        return dataset.default_collate(data_batch)
    except RuntimeError:
        for key, shapes in _shapes(data_batch).items():
            if len(shapes) > 1:
                found = ' and '.join(map(str, sorted(shapes)[:3]))
                raise DataError(
                    f'the pictures of a batch (`{key}`) are of several shapes '
                    f'(channels, height, width), such as {found}: let the '
                    'pipeline of the dataset make one of them, such as by '
                    "dict(type='Resize', scale=(64, 64)) after LoadImage"
                ) from None
        raise


def _shapes(items: Sequence[Any]) -> dict[str, set[tuple[int, ...]]]:
    """Return the shapes of the pictures of items, by their keys."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for item in items:
        if isinstance(item, dict):
            samples = item.get('data_samples')
            both = dict(item, **(samples if isinstance(samples, dict) else {}))
            for key, value in both.items():
                if isinstance(value, Tensor):
                    found.setdefault(key, set()).add(tuple(value.shape))
    return found
