"""Which layers of MMGeneration's StyleGAN2 ran in half precision."""

Layers = list[tuple[str, range | None]]


def in_float32(network: str, size: int, scales: int) -> Layers:
    """Return the layers that ``num_fp16_scales`` left in float32.

    Args:
        network (str): ``'generator'`` or ``'discriminator'``.
        size (int): Of its pictures, in pixels; a power of two from 8 on.
        scales (int): ``num_fp16_scales``: how many of the highest
            resolutions ran in half precision.

    Returns:
        list[tuple[str, range | None]]: Names of modules in it; of a list of
        modules which of them.
    """
    # Resolutions from 8 up, each with two convolutions.
    levels = size.bit_length() - 3
    low = max(levels - scales, 0)
    if network == 'generator':
        return [
            *(('style_mapping', None), ('conv1', None), ('to_rgb1', None)),
            *(('convs', range(2 * low)), ('to_rgbs', range(low))),
        ]
    # The first of its layers is not of a resolution.
    return [
        ('convs', range(1 + levels - low, 1 + levels)),
        *(('final_conv', None), ('final_linear', None)),
    ]
