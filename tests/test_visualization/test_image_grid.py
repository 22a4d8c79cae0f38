import numpy as np
import pytest

from mmamp.visualization import image_grid


def tiles(num, channels=3, size=(2, 3), seed=0):
    rng = np.random.RandomState(seed)
    return rng.randint(1, 256, (num, channels, *size)).astype(np.uint8)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('gap', [0, 1, 2])
@pytest.mark.parametrize(('num', 'columns'), [(6, 3), (7, 3), (2, 8), (1, 1)])
def test_every_image_is_in_its_place(num, columns, gap, channels):
    images = tiles(num, channels)
    grid = image_grid(images, columns, gap)
    across = min(num, columns)
    down = -(-num // columns)
    assert grid.dtype == np.uint8
    assert grid.shape == (down * (2 + gap) + gap, across * (3 + gap) + gap, 3)
    rest = grid.copy()
    for i, image in enumerate(images):
        top = gap + (i // columns) * (2 + gap)
        left = gap + (i % columns) * (3 + gap)
        for c in range(3):
            found = grid[top : top + 2, left : left + 3, c]
            np.testing.assert_array_equal(found, image[c % channels])
        rest[top : top + 2, left : left + 3] = 0
    # Between them, and where there is none, it is black.
    assert (rest == 0).all()


def test_what_is_usual():
    assert image_grid(tiles(64, size=(32, 32))).shape == (274, 274, 3)


def test_channels_are_rgb():
    red = np.zeros((1, 3, 4, 4), np.uint8)
    red[:, 0] = 255
    assert image_grid(red, gap=0)[0, 0].tolist() == [255, 0, 0]


def test_leaves_the_images_as_they_were():
    images = tiles(4)
    image_grid(images)
    np.testing.assert_array_equal(images, tiles(4))


@pytest.mark.parametrize(
    'shape', [(4, 4), (3, 4, 4), (2, 2, 4, 4), (2, 4, 4, 3), (2, 4, 4, 4)]
)
def test_another_shape(shape):
    with pytest.raises(ValueError, match='N, 1 or 3, H, W') as error:
        image_grid(np.zeros(shape, np.uint8))
    assert str(shape) in str(error.value)


def test_no_image():
    with pytest.raises(ValueError, match='N, 1 or 3, H, W'):
        image_grid(np.zeros((0, 3, 4, 4), np.uint8))
