"""Changes of colours, differentiable twice."""

from torch import Tensor


def colored(
    images: Tensor,
    brightness: Tensor,
    contrast: Tensor,
    luma: Tensor,
    saturation: Tensor,
    hue: Tensor,
) -> Tensor:
    r"""Change the colours of images, by one affine map of them each.

    :math:`cA(x + b)`: the map :math:`A` scales and turns colours about the
    axis of grey, (1, 1, 1); what luma is multiplied by, saturation and hue
    are such maps, and so is their product, in any order. One of all that
    changes nothing leaves every bit. Of a grey image the mean of the three
    channels that would come of it is taken, which neither saturation nor hue
    changes.

    Args:
        images (Tensor): Of shape (N, 3, H, W) or (N, 1, H, W).
        brightness (Tensor): Added to them, b; each of shape (N, ).
        contrast (Tensor): What is multiplied by, c.
        luma (Tensor): What colours are multiplied by along the axis: -1 turns
            light to dark.
        saturation (Tensor): What they are multiplied by across it.
        hue (Tensor): Angle that they are turned by, in radians.
    """
    brightness, contrast, luma, saturation, hue = (
        x.to(images.dtype).view(-1, 1, 1, 1)
        for x in (brightness, contrast, luma, saturation, hue)
    )
    along = luma * contrast
    if images.shape[1] == 1:
        return images * along + along * brightness
    across = saturation * contrast
    cos, sin = across * hue.cos(), across * hue.sin() / 3**0.5
    between = images.roll(1, 1) - images.roll(-1, 1)
    total = images.sum(1, keepdim=True)
    turned = images * cos + total * ((along - cos) / 3) + between * sin
    return turned + along * brightness
