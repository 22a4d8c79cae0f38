"""Between the ends of a pipeline: crops, and pairs made of one picture."""

from collections.abc import Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmamp.registry import TRANSFORMS
from mmamp.utils.checks import check_choice, check_int


def _name(results: dict[str, Any]) -> str:
    """Name the picture, for messages."""
    path = results.get('img_path')
    return f' ({str(path)!r})' if path is not None else ''


@TRANSFORMS.register_module()
class RandomCrop(BaseTransform):
    """A square out of a picture, or the same square out of several.

    Args:
        size (int): Height and width of the square, in pixels.
        keys (Sequence[str]): Which pictures; they must have one size.
            Defaults to ``('img', )``. For pairs ``('img', 'gt_img')``, or
            leave the default and put this into mmcv's
            ``TransformBroadcaster``.

    Raises:
        ValueError: If ``size`` is < 1, there is no key, a picture is smaller
            than the square, or the pictures differ in size.

    Examples:
        >>> pipeline = [
        ...     dict(type='mmamp.LoadImage'),
        ...     dict(type='mmamp.LoadImage', key='gt_img'),
        ...     dict(
        ...         type='mmamp.RandomCrop',
        ...         size=256,
        ...         keys=('img', 'gt_img')),
        ...     dict(type='mmamp.PackImage')]
    """

    def __init__(self, size: int, keys: Sequence[str] = ('img',)) -> None:
        self.size = check_int('size', size)
        if isinstance(keys, str) or not keys:
            raise ValueError(
                "keys must be a list such as ('img', 'gt_img'), "
                f'but got {keys!r}'
            )
        self.keys = tuple(keys)

    @cache_randomness  # type: ignore[untyped-decorator]
    def _corner(self, height: int, width: int) -> tuple[int, int]:
        """Draw the upper left corner: row and column."""
        return (
            int(np.random.randint(height - self.size + 1)),
            int(np.random.randint(width - self.size + 1)),
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop ``keys`` and set ``img_shape``.

        Args:
            results (dict): Images of shape (H, W) or (H, W, C).

        Returns:
            dict: Images of shape (size, size) or (size, size, C).
        """
        shapes = {key: results[key].shape[:2] for key in self.keys}
        height, width = shapes[self.keys[0]]
        if len(set(shapes.values())) > 1:
            raise ValueError(
                f'{self} needs pictures of one size, '
                f'but got {shapes}{_name(results)}'
            )
        if min(height, width) < self.size:
            raise ValueError(
                f'{self} cannot crop a picture of {height} rows and {width} '
                f'columns{_name(results)}: resize it first'
            )
        row, column = self._corner(height, width)
        # A corner that TransformBroadcaster drew for another picture.
        if row + self.size > height or column + self.size > width:
            raise ValueError(
                f'{self}: the pictures of a pair differ in size; this one has '
                f'{height} rows and {width} columns{_name(results)}'
            )
        for key in self.keys:
            results[key] = results[key][
                row : row + self.size, column : column + self.size
            ]
        results['img_shape'] = (self.size, self.size)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size}, keys={self.keys})'


@TRANSFORMS.register_module()
class MakeLowResolution(BaseTransform):
    """A picture and its reduction, for super-resolution.

    The reduction is what the field calls bicubic: with a kernel as wide as
    the reduction, so that nothing is aliased, as MATLAB's ``imresize`` has
    it. That is Pillow's; OpenCV's bicubic interpolates between 4x4 pixels at
    any scale, passes over the others, and knows another kernel.

    Args:
        scale (int): How many times smaller.

    Raises:
        ValueError: If ``scale`` is < 2, or a picture's height or width is no
            multiple of it.

    Examples:
        >>> pipeline = [
        ...     dict(type='mmamp.LoadImage'),
        ...     dict(type='mmamp.RandomCrop', size=96),
        ...     dict(type='mmamp.MakeLowResolution', scale=4),
        ...     dict(type='mmamp.PackImage')]
    """

    def __init__(self, scale: int) -> None:
        self.scale = check_int('scale', scale, low=2)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Move ``img`` to ``gt_img`` and put its reduction in its place.

        Args:
            results (dict): ``img``, uint8 of shape (H, W) or (H, W, C).

        Returns:
            dict: ``gt_img``, which was ``img``, and ``img`` of shape
            (H / scale, W / scale) or (H / scale, W / scale, C).
        """
        img = results['img']
        height, width = img.shape[:2]
        if height % self.scale or width % self.scale:
            raise ValueError(
                f'{self}: {height} rows and {width} columns{_name(results)} '
                f'are no multiples of {self.scale}: crop the picture first'
            )
        size = (width // self.scale, height // self.scale)
        # Pillow knows no third axis of length 1.
        plain = img[:, :, 0] if img.ndim == 3 and img.shape[2] == 1 else img
        small = mmcv.imresize(
            np.ascontiguousarray(plain),
            size,
            interpolation='bicubic',
            backend='pillow',
        )
        results['gt_img'] = img
        results['img'] = small.reshape(*small.shape[:2], *img.shape[2:])
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale})'


@TRANSFORMS.register_module()
class Edges(BaseTransform):
    """The outline of a picture, which makes a pair: outline and picture.

    It is the morphological gradient, the maximum less the minimum of 3x3
    pixels: it has no threshold to choose, and a digit's pixels stay grey.
    White on black, whatever the picture.

    Args:
        keep_as (str, optional): Where the picture itself goes. Defaults to
            ``'gt_img'``. None: it is not kept.

    Examples:
        >>> pipeline = [
        ...     dict(type='Resize', scale=(32, 32)),
        ...     dict(type='mmamp.Edges'),
        ...     dict(type='mmamp.PackImage')]
    """

    def __init__(self, keep_as: str | None = 'gt_img') -> None:
        self.keep_as = keep_as

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Put the outline of ``img`` in its place.

        Args:
            results (dict): ``img``, uint8 of shape (H, W) or (H, W, C), BGR.

        Returns:
            dict: ``img``, uint8 of shape (H, W), and the picture.
        """
        img = results['img']
        is_colour = img.ndim == 3 and img.shape[2] == 3
        grey = mmcv.bgr2gray(img) if is_colour else img.reshape(img.shape[:2])
        if self.keep_as is not None:
            results[self.keep_as] = img
        results['img'] = cv2.morphologyEx(
            np.ascontiguousarray(grey),
            cv2.MORPH_GRADIENT,
            np.ones((3, 3), np.uint8),
        )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keep_as={self.keep_as!r})'


@TRANSFORMS.register_module()
class SplitPair(BaseTransform):
    """Two pictures side by side become a pair.

    So is the data of Isola et al., "Image-to-Image Translation with
    Conditional Adversarial Networks", 2017 (pix2pix), published.

    Args:
        source (str): Which half is the input, ``'left'`` (edges2shoes,
            edges2handbags) or ``'right'`` (facades, whose left half is the
            photograph). Defaults to ``'left'``.

    Raises:
        ValueError: If ``source`` is another, or a picture's width is odd.

    Examples:
        >>> pipeline = [
        ...     dict(type='mmamp.LoadImage'),
        ...     dict(type='mmamp.SplitPair', source='right'),
        ...     dict(type='mmamp.PackImage')]
    """

    def __init__(self, source: str = 'left') -> None:
        self.source = check_choice('source', source, ('left', 'right'))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut ``img`` into ``img`` and ``gt_img``.

        Args:
            results (dict): ``img`` of shape (H, 2 * W) or (H, 2 * W, C).

        Returns:
            dict: ``img`` and ``gt_img``, each of half the width.
        """
        width = results['img'].shape[1]
        if width % 2:
            raise ValueError(
                f'{self}: a picture of {width} columns{_name(results)} '
                'has no two halves'
            )
        halves = np.split(results['img'], 2, axis=1)
        if self.source == 'right':
            halves.reverse()
        results['img'], results['gt_img'] = halves
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(source={self.source!r})'
