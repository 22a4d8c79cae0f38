"""Collating for configs that are the base of another package's."""

from collections.abc import Sequence
from typing import Any

from mmengine import dataset

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
    return dataset.default_collate(data_batch)
