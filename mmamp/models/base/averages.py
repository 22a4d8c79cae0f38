"""Configs of averages."""

from typing import Any

from mmengine.model import ExponentialMovingAverage

from mmamp.utils.suggest import arguments_of, did_you_mean

OURS = ('start_iter', 'standing_batches', 'standing_batch_size')
"""Keys that are not the average's, but of who keeps it."""


def checked_average(
    ema_config: dict[str, Any] | None,
) -> dict[str, Any] | None:
    """Return a copy of the config of an average.

    Args:
        ema_config (dict, optional): As a model takes it.

    Raises:
        ValueError: If MMEngine's average, which is built by default, knows a
            key or the momentum not.
    """
    if ema_config is None:
        return None
    if 'type' not in ema_config:
        valid = [
            *(
                x
                for x in arguments_of(ExponentialMovingAverage)
                if x != 'model'
            ),
            *OURS,
        ]
        for key in ema_config:
            if key not in valid:
                raise ValueError(
                    f'ema_config has no {key!r}; it has {", ".join(valid)}.'
                    f'{did_you_mean(key, valid)}'
                )
        momentum = ema_config.get('momentum', 0.5)
        if not isinstance(momentum, (int, float)) or not 0 < momentum < 1:
            raise ValueError(
                'ema_config: momentum is what of the new weights enters the '
                f'average, in (0, 1), but got {momentum!r}'
            )
    return dict(ema_config)
