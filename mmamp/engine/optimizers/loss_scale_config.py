"""Settings of a loss scaler."""

SCALER_ARGS = (
    'init_scale',
    'growth_factor',
    'backoff_factor',
    'growth_interval',
    'enabled',
)
"""Arguments of ``torch.amp.GradScaler`` that a config may give."""
POLICY_ARGS = ('min_scale', 'max_scale', 'hysteresis')
"""Arguments that :class:`LossScaler` adds to them."""


def check_policy(
    init_scale: float,
    growth_factor: float,
    backoff_factor: float,
    growth_interval: int,
    min_scale: float,
    max_scale: float | None,
    hysteresis: int,
) -> None:
    """Refuse settings that cannot work, naming the value and the bound."""
    rules = [
        ('growth_factor', growth_factor, growth_factor > 1, '> 1'),
        (
            'backoff_factor',
            backoff_factor,
            0 < backoff_factor < 1,
            'between 0 and 1',
        ),
        ('growth_interval', growth_interval, growth_interval >= 1, '>= 1'),
        ('hysteresis', hysteresis, hysteresis >= 1, '>= 1'),
        ('min_scale', min_scale, min_scale > 0, '> 0'),
        (
            'init_scale',
            init_scale,
            init_scale >= min_scale,
            f'>= min_scale ({min_scale})',
        ),
        (
            'init_scale',
            init_scale,
            max_scale is None or init_scale <= max_scale,
            f'<= max_scale ({max_scale})',
        ),
    ]
    for name, value, holds, rule in rules:
        if not holds:
            raise ValueError(
                f'loss_scale: {name} must be {rule}, but got {value!r}'
            )
