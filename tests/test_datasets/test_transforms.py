import cv2
import numpy as np
import pytest
import torch

from mmamp.datasets import LoadImage, PackImage
from mmamp.registry import TRANSFORMS

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # as BGR


@pytest.fixture
def picture(tmp_path):
    """``picture(bgr)`` writes a PNG of one colour and gives its path."""

    def write(bgr, name='picture.png', size=(4, 6)):
        path = tmp_path / name
        assert cv2.imwrite(
            str(path), np.broadcast_to(np.uint8(bgr), (*size, 3)).copy()
        )
        return str(path)

    return write


def load(path, **kwargs):
    return LoadImage(**kwargs).transform(dict(img_path=path))


class TestLoadImage:
    def test_colour(self, picture):
        results = load(picture(RED))
        assert results['img'].shape == (4, 6, 3)
        assert results['img'].dtype == np.uint8
        assert results['img'][0, 0].tolist() == list(RED)

    def test_grey(self, picture):
        results = load(picture((90, 90, 90)), color_type='grayscale')
        assert results['img'].shape == (4, 6)
        assert (results['img'] == 90).all()

    @pytest.mark.parametrize(
        'content',
        [b'', b'this is a text file', b'\x89PNG\r\n\x1a\n'],
        ids=['empty', 'text', 'cut short'],
    )
    def test_what_is_no_picture_is_named(self, tmp_path, content):
        path = tmp_path / 'x.png'
        path.write_bytes(content)
        with pytest.raises(ValueError, match='cannot read') as error:
            load(str(path))
        assert repr(str(path)) in str(error.value)

    def test_a_file_that_has_gone_is_named(self, tmp_path):
        path = str(tmp_path / 'gone.png')
        with pytest.raises(ValueError, match=r'No such file') as error:
            load(path)
        assert repr(path) in str(error.value)

    def test_may_be_left_out_if_that_is_asked_for(self, tmp_path):
        assert load(str(tmp_path / 'gone.png'), ignore_empty=True) is None


class TestPackImage:
    @pytest.mark.parametrize(
        ('colour', 'channel'), [(RED, 0), (GREEN, 1), (BLUE, 2)]
    )
    def test_channels_are_rgb(self, picture, colour, channel):
        packed = PackImage().transform(load(picture(colour)))
        inputs = packed['inputs']
        assert inputs.shape == (3, 4, 6)
        assert inputs.dtype is torch.uint8
        for i in range(3):
            assert (inputs[i] == (255 if i == channel else 0)).all()

    def test_channels_are_bgr_if_that_is_asked_for(self, picture):
        packed = PackImage(to_rgb=False).transform(load(picture(RED)))
        assert (packed['inputs'][2] == 255).all()

    @pytest.mark.parametrize('to_rgb', [True, False])
    def test_pixels_stay_in_place(self, to_rgb):
        img = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
        inputs = PackImage(to_rgb=to_rgb).transform(dict(img=img))['inputs']
        for row in range(2):
            for column in range(5):
                pixel = img[row, column][:: -1 if to_rgb else 1]
                assert inputs[:, row, column].tolist() == pixel.tolist()

    @pytest.mark.parametrize('shape', [(2, 5), (2, 5, 1)])
    def test_grey(self, shape):
        img = np.arange(10, dtype=np.uint8).reshape(shape)
        inputs = PackImage().transform(dict(img=img))['inputs']
        assert inputs.shape == (1, 2, 5)
        assert inputs.flatten().tolist() == list(range(10))

    def test_a_grey_picture_of_three_channels_stays_one(self, picture):
        packed = PackImage().transform(load(picture((7, 7, 7))))
        assert (packed['inputs'] == 7).all()

    def test_is_not_a_view_of_the_image(self):
        """BaseDataset gives the same array again."""
        img = np.zeros((2, 5), np.uint8)
        inputs = PackImage().transform(dict(img=img.copy()))['inputs']
        assert inputs.is_contiguous()

    def test_flipped_images(self):
        """Negative strides, as RandomFlip leaves them."""
        img = np.arange(10, dtype=np.uint8).reshape(2, 5)[:, ::-1]
        inputs = PackImage().transform(dict(img=img))['inputs']
        assert inputs[0, 0].tolist() == [4, 3, 2, 1, 0]

    def test_label(self):
        img = np.zeros((2, 2), np.uint8)
        packed = PackImage().transform(dict(img=img, gt_label=3, other=4))
        assert packed['data_samples'] == dict(gt_label=3)
        assert PackImage().transform(dict(img=img))['data_samples'] == {}

    @pytest.mark.parametrize('key', ['gt_img', 'target_img'])
    def test_other_pictures(self, key):
        img = np.zeros((2, 2), np.uint8)
        other = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
        packed = PackImage().transform(
            dict(img=img, gt_label=1, **{key: other})
        )
        samples = packed['data_samples']
        assert samples.keys() == {'gt_label', key}
        assert samples[key].dtype is torch.uint8
        assert samples[key].shape == (3, 3, 4)
        assert samples[key][:, 0, 0].tolist() == [2, 1, 0]
        packed = PackImage(to_rgb=False).transform(dict(img=img, gt_img=other))
        assert packed['data_samples']['gt_img'][:, 0, 0].tolist() == [0, 1, 2]

    def test_another_picture_of_a_wrong_shape_is_named(self):
        img = np.zeros((2, 2), np.uint8)
        with pytest.raises(ValueError, match=r'gt_img must.*\(4,\)'):
            PackImage().transform(dict(img=img, gt_img=np.zeros(4)))

    @pytest.mark.parametrize('shape', [(4,), (1, 2, 3, 4)])
    def test_another_shape(self, shape):
        with pytest.raises(ValueError, match=r'\(H, W\)') as error:
            PackImage().transform(dict(img=np.zeros(shape, np.uint8)))
        assert str(shape) in str(error.value)

    def test_shows_its_setting(self):
        assert repr(PackImage(to_rgb=False)) == 'PackImage(to_rgb=False)'


@pytest.mark.parametrize('name', ['LoadImage', 'PackImage'])
def test_builds_from_a_config(name):
    transform = TRANSFORMS.build(dict(type=f'mmamp.{name}'))
    assert type(transform).__name__ == name
