import numpy as np
import pytest
import torch

from mmamp.visualization import image_grid, panels_image


def images(num=4, size=(8, 8), channels=3, value=None):
    torch.manual_seed(0)
    if value is not None:
        return torch.full((num, channels, *size), value, dtype=torch.uint8)
    return torch.randint(0, 256, (num, channels, *size)).byte()


def test_grids_stand_beside_each_other():
    panels = dict(a=images(), b=images(channels=1))
    picture = panels_image(panels, columns=2, gap=5)
    grids = [image_grid(x.numpy(), 2) for x in panels.values()]
    assert picture.dtype == np.uint8
    assert picture.shape == (22 + 16, 22 + 5 + 22, 3)
    np.testing.assert_array_equal(picture[16:, :22], grids[0])
    np.testing.assert_array_equal(picture[16:, 27:], grids[1])
    assert (picture[:, 22:27] == 0).all()


def test_each_has_its_name_above_it():
    picture = panels_image(dict(real=images(16), average=images(16)), 8)
    left, right = picture[:16, :82], picture[:16, 90:]
    assert left.max() > 128
    assert right.max() > 128
    assert (left[:, :82] != right[:, :82]).any()


def test_a_long_name_is_not_cut_off():
    name = 'a name that is longer than one image'
    wide = panels_image({name: images(1), 'b': images(1)})
    text = panels_image({name: images(1, (8, 400))})
    end = np.flatnonzero(text[:16].any((0, 2))).max()
    np.testing.assert_array_equal(wide[:16, : end + 1], text[:16, : end + 1])


def test_smaller_pictures_are_enlarged():
    low = images(2, (4, 4), 1)
    picture = panels_image(dict(low=low, high=images(2, (8, 8))), 1)
    expected = low.repeat_interleave(2, 2).repeat_interleave(2, 3)
    np.testing.assert_array_equal(
        picture[16:, :12], image_grid(expected.numpy(), 1)
    )


def test_nothing_to_show():
    with pytest.raises(ValueError, match='one kind of pictures'):
        panels_image({})
