"""Configs of averages."""

from dataclasses import dataclass
from typing import Any

from mmengine.model import ExponentialMovingAverage

from mmamp.utils.checks import check_int
from mmamp.utils.suggest import arguments_of, did_you_mean

from .standing_statistics import DEFAULT_BATCHES, DEFAULT_SIZE

OURS = ('start_iter', 'standing_batches', 'standing_batch_size')
"""Keys that are not the average's, but of who keeps it."""


@dataclass(frozen=True)
class AverageConfig:
    """What a model was told of its averages.

    Args:
        average (dict, optional): Of the average itself; None for none.
        start_iter (int): Updates for which it is a copy.
        standing_batches (int): Batches that statistics are estimated on.
        standing_batch_size (int): Samples of each.
    """

    average: dict[str, Any] | None
    start_iter: int
    standing_batches: int
    standing_batch_size: int


def average_config(
    ema_config: dict[str, Any] | None, has_inputs: bool
) -> AverageConfig:
    """Read the config of averages.

    Args:
        ema_config (dict, optional): As a model takes it.
        has_inputs (bool): Whether the model has inputs for its generator.

    Raises:
        ValueError: If MMEngine's average, which is built by default, knows a
            key or the momentum not; if a number is no int in its range; or if
            batches are given where statistics are averaged or the model has
            no such inputs.
    """
    given = dict(ema_config or {})
    if 'type' not in given:
        _check(given)
    averaged = given.get('update_buffers', False)
    default = DEFAULT_BATCHES if has_inputs and not averaged else 0
    start = check_int('start_iter', given.pop('start_iter', 0), low=0)
    num = check_int(
        'standing_batches', given.pop('standing_batches', default), low=0
    )
    size = check_int(
        'standing_batch_size',
        given.pop('standing_batch_size', DEFAULT_SIZE),
        low=2,
    )
    if num and averaged:
        raise ValueError(
            f'standing_batches={num} and update_buffers=True: BatchNorm '
            'statistics are either estimated or averaged; leave one out'
        )
    if num and not has_inputs:
        raise ValueError(
            f'standing_batches={num}: only a model that makes images of '
            'latents can estimate BatchNorm statistics; leave it out, or '
            'give update_buffers=True, which averages them'
        )
    return AverageConfig(
        None if ema_config is None else given, start, num, size
    )


def _check(given: dict[str, Any]) -> None:
    """Refuse what MMEngine's average has no word for."""
    known = arguments_of(ExponentialMovingAverage)
    valid = [*(x for x in known if x != 'model'), *OURS]
    for key in given:
        if key not in valid:
            raise ValueError(
                f'ema_config has no {key!r}; it has {", ".join(valid)}.'
                f'{did_you_mean(key, valid)}'
            )
    momentum = given.get('momentum', 0.5)
    if not isinstance(momentum, (int, float)) or not 0 < momentum < 1:
        raise ValueError(
            'ema_config: momentum is what of the new weights enters the '
            f'average, in (0, 1), but got {momentum!r}'
        )
