"""Weights as DCGAN begins with (Radford et al., 2016, section 4)."""

NORMAL_INIT = [
    dict(
        type='Normal',
        layer=['Conv2d', 'ConvTranspose2d', 'Linear'],
        mean=0.0,
        std=0.02,
    ),
    dict(
        type='Normal',
        layer=['BatchNorm2d', 'InstanceNorm2d'],
        mean=1.0,
        std=0.02,
        bias=0.0,
    ),
]
