import cv2
import numpy as np
import pytest
from mmcv.transforms import TransformBroadcaster
from mmengine.registry import DefaultScope
from PIL import Image

from mmamp.datasets import (
    Edges,
    LoadImage,
    MakeLowResolution,
    PackImage,
    RandomCrop,
    SplitPair,
)
from mmamp.registry import TRANSFORMS


def numbered(height, width):
    """No pixel is like another; the second picture is its negative."""
    img = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    return img, 255 - img


class TestRandomCrop:
    @pytest.mark.parametrize('channels', [(), (1,), (3,)])
    def test_is_a_part_of_the_picture(self, channels):
        np.random.seed(0)
        img = np.random.randint(0, 256, (7, 9, *channels), np.uint8)
        results = RandomCrop(4).transform(dict(img=img, img_shape=(7, 9)))
        assert results['img'].shape == (4, 4, *channels)
        assert results['img_shape'] == (4, 4)
        assert any(
            np.array_equal(results['img'], img[r : r + 4, c : c + 4])
            for r in range(4)
            for c in range(6)
        )

    def test_reaches_every_place(self):
        np.random.seed(0)
        img, _ = numbered(4, 5)
        corners = {
            int(RandomCrop(3).transform(dict(img=img))['img'][0, 0])
            for _ in range(200)
        }
        assert corners == {0, 1, 2, 5, 6, 7}

    def test_of_the_pictures_own_size_changes_nothing(self):
        img, _ = numbered(4, 4)
        cropped = RandomCrop(4).transform(dict(img=img))['img']
        np.testing.assert_array_equal(cropped, img)

    def test_of_several_is_at_the_same_place(self):
        crop = RandomCrop(3, keys=('img', 'gt_img'))
        seen = set()
        for _ in range(30):
            img, negative = numbered(8, 8)
            results = crop.transform(dict(img=img, gt_img=negative))
            np.testing.assert_array_equal(
                results['img'], 255 - results['gt_img']
            )
            seen.add(int(results['img'][0, 0]))
        assert len(seen) > 5

    def test_numpys_generator_decides(self):
        img, _ = numbered(12, 12)
        drawn = []
        for _ in range(2):
            np.random.seed(5)
            crops = [
                RandomCrop(2).transform(dict(img=img))['img'][0, 0]
                for _ in range(5)
            ]
            drawn.append(crops)
        assert drawn[0] == drawn[1]

    @pytest.mark.parametrize('size', [0, -1, 2.0, '3', True, None])
    def test_bad_size(self, size):
        with pytest.raises(ValueError, match='size must be') as error:
            RandomCrop(size)
        assert repr(size) in str(error.value)

    @pytest.mark.parametrize('keys', ['img', [], ()])
    def test_bad_keys(self, keys):
        with pytest.raises(ValueError, match='keys must be a list') as error:
            RandomCrop(2, keys=keys)
        assert repr(keys) in str(error.value)

    def test_a_picture_that_is_too_small_is_named(self):
        results = dict(img=np.zeros((5, 3)), img_path='a/b.png')
        with pytest.raises(ValueError, match="5 rows and 3.*'a/b.png'"):
            RandomCrop(4).transform(results)

    def test_pictures_of_two_sizes(self):
        results = dict(img=np.zeros((5, 5)), gt_img=np.zeros((6, 5)))
        with pytest.raises(ValueError, match=r'one size.*\(6, 5\)'):
            RandomCrop(4, keys=['img', 'gt_img']).transform(results)

    def test_pictures_of_two_sizes_in_a_broadcaster(self):
        np.random.seed(0)
        pair = TransformBroadcaster(
            [RandomCrop(4)],
            mapping=dict(img=['img', 'gt_img']),
            auto_remap=True,
            share_random_params=True,
        )
        with pytest.raises(ValueError, match='differ in size'):
            pair(dict(img=np.zeros((99, 99)), gt_img=np.zeros((5, 5))))


class TestPairsInMmcvsBroadcaster:
    """What the configs rely on: crop and flip are those of both."""

    def pair(self, **kwargs):
        with DefaultScope.overwrite_default_scope('mmamp'):
            return TRANSFORMS.build(
                dict(
                    type='TransformBroadcaster',
                    mapping=dict(img=['img', 'gt_img']),
                    auto_remap=True,
                    transforms=[
                        dict(type='RandomCrop', size=5),
                        dict(type='RandomFlip', prob=0.5),
                    ],
                    **kwargs,
                )
            )

    def run(self, pair, times=60):
        np.random.seed(0)
        for _ in range(times):
            img, negative = numbered(8, 8)
            results = pair(dict(img=img, gt_img=negative, gt_label=3))
            assert results['gt_label'] == 3
            yield results['img'], 255 - results['gt_img'].astype(int)

    def test_shared(self):
        flipped, corners = 0, set()
        for img, other in self.run(self.pair(share_random_params=True)):
            np.testing.assert_array_equal(img, other)
            is_flipped = int(img[0, 0]) > int(img[0, 1])
            flipped += is_flipped
            corners.add(int(img[0].min()))
        assert 15 < flipped < 45
        assert len(corners) > 10

    def test_not_shared(self):
        """So that the test above can fail."""
        drawn = self.run(self.pair(share_random_params=False))
        assert not all(np.array_equal(img, other) for img, other in drawn)


class TestMakeLowResolution:
    @pytest.mark.parametrize('shape', [(8, 12), (8, 12, 1), (8, 12, 3)])
    def test_shapes(self, shape):
        img = np.random.randint(0, 256, shape, np.uint8)
        results = MakeLowResolution(4).transform(dict(img=img))
        assert results['gt_img'] is img
        assert results['img'].shape == (2, 3, *shape[2:])
        assert results['img'].dtype == np.uint8
        assert results['img_shape'] == (2, 3)

    def test_nothing_is_aliased(self):
        """Stripes of one pixel become their mean; OpenCV sees only them."""
        img = np.zeros((36, 36), np.uint8)
        img[:, 1::3] = 255
        small = MakeLowResolution(3).transform(dict(img=img))['img']
        assert abs(small[2:-2, 2:-2].astype(int) - 85).max() <= 3
        aliased = cv2.resize(img, (12, 12), interpolation=cv2.INTER_CUBIC)
        assert np.ptp(aliased[2:-2, 2:-2]) == 0
        assert aliased.mean() > 1.5 * img.mean()

    def test_is_the_fields_kernel(self):
        """Keys' cubic, a = -0.5, as wide as the reduction."""
        scale, size = 4, 32
        row = np.random.RandomState(0).randint(0, 256, size).astype(np.uint8)
        img = np.tile(row, (size, 1))
        small = MakeLowResolution(scale).transform(dict(img=img))['img']
        for i in range(2, size // scale - 2):
            centre = (i + 0.5) * scale - 0.5
            x = np.abs(np.arange(size) - centre) / scale
            near = 1.5 * x**3 - 2.5 * x**2 + 1
            far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            weights = np.where(x < 1, near, np.where(x < 2, far, 0))
            expected = (weights * row).sum() / weights.sum()
            expected = min(max(expected, 0), 255)
            assert abs(int(small[4, i]) - expected) <= 1

    def test_takes_a_flipped_picture(self):
        img = np.random.randint(0, 256, (8, 8, 3), np.uint8)
        make = MakeLowResolution(2)
        flipped = make.transform(dict(img=img[:, ::-1]))['img']
        plain = make.transform(dict(img=np.ascontiguousarray(img[:, ::-1])))
        np.testing.assert_array_equal(flipped, plain['img'])

    @pytest.mark.parametrize('shape', [(9, 8), (8, 10, 3)])
    def test_no_multiple(self, shape):
        results = dict(img=np.zeros(shape, np.uint8), img_path='x.png')
        with pytest.raises(ValueError, match='multiples of 4.*') as error:
            MakeLowResolution(4).transform(results)
        assert f'{shape[0]} rows and {shape[1]}' in str(error.value)
        assert "'x.png'" in str(error.value)

    @pytest.mark.parametrize('scale', [1, 0, 2.0, '4', True])
    def test_bad_scale(self, scale):
        with pytest.raises(ValueError, match='scale must be') as error:
            MakeLowResolution(scale)
        assert repr(scale) in str(error.value)


class TestEdges:
    def test_of_a_square(self):
        img = np.zeros((9, 9), np.uint8)
        img[3:6, 3:6] = 200
        results = Edges().transform(dict(img=img.copy()))
        np.testing.assert_array_equal(results['gt_img'], img)
        expected = np.zeros((9, 9), np.uint8)
        expected[2:7, 2:7] = 200
        expected[4, 4] = 0
        np.testing.assert_array_equal(results['img'], expected)

    @pytest.mark.parametrize('channels', [(1,), (3,)])
    def test_of_channels(self, channels):
        img = np.zeros((9, 9, *channels), np.uint8)
        img[3:6, 3:6] = 200
        results = Edges().transform(dict(img=img))
        assert results['img'].shape == (9, 9)
        assert results['img'].max() == 200
        assert results['gt_img'].shape == img.shape

    def test_where_the_picture_goes(self):
        img = np.zeros((4, 4), np.uint8)
        assert set(Edges(None).transform(dict(img=img))) == {'img'}
        assert set(Edges('x').transform(dict(img=img))) == {'img', 'x'}


class TestSplitPair:
    @pytest.mark.parametrize('source', ['left', 'right'])
    @pytest.mark.parametrize('channels', [(), (3,)])
    def test_halves(self, source, channels):
        img = np.zeros((3, 8, *channels), np.uint8)
        img[:, :4], img[:, 4:] = 10, 20
        results = SplitPair(source).transform(dict(img=img))
        first, second = (10, 20) if source == 'left' else (20, 10)
        for key, value in (('img', first), ('gt_img', second)):
            assert results[key].shape == (3, 4, *channels)
            assert (results[key] == value).all()

    def test_an_odd_width(self):
        results = dict(img=np.zeros((3, 7)), img_path='x.png')
        with pytest.raises(ValueError, match="7 columns.*'x.png'"):
            SplitPair().transform(results)

    def test_bad_source(self):
        with pytest.raises(ValueError, match="'up'.*'left', 'right'"):
            SplitPair('up')


class TestPairsFromFiles:
    def test_loaded_under_their_keys_and_packed(self, tmp_path):
        """The whole of a pair's way, whose sizes and kinds differ."""
        red = np.zeros((4, 6, 3), np.uint8)
        red[..., 0] = 255
        Image.fromarray(red).save(tmp_path / 'a.png')
        Image.fromarray(red[:2, :, 0]).save(tmp_path / 'b.png')
        results = dict(
            img_path=str(tmp_path / 'a.png'),
            gt_img_path=str(tmp_path / 'b.png'),
        )
        results = LoadImage().transform(results)
        load = LoadImage(key='gt_img', color_type='grayscale')
        results = load.transform(results)
        assert results['img_shape'] == (4, 6)
        packed = PackImage().transform(results)
        assert packed['inputs'][:, 0, 0].tolist() == [255, 0, 0]
        gt_img = packed['data_samples']['gt_img']
        assert gt_img.shape == (1, 2, 6)
        assert (gt_img == 255).all()

    def test_a_dataset_that_gives_no_pairs(self):
        with pytest.raises(ValueError, match=r"'gt_img_path'.*\['img_path'\]"):
            LoadImage(key='gt_img').transform(dict(img_path='a.png'))

    def test_the_second_file_is_named(self, tmp_path):
        path = str(tmp_path / 'gone.png')
        with pytest.raises(ValueError, match='cannot read') as error:
            LoadImage(key='gt_img').transform(dict(gt_img_path=path))
        assert repr(path) in str(error.value)


@pytest.mark.parametrize(
    ('cfg', 'shown'),
    [
        (
            dict(type='RandomCrop', size=4),
            "RandomCrop(size=4, keys=('img',))",
        ),
        (
            dict(type='MakeLowResolution', scale=2),
            'MakeLowResolution(scale=2)',
        ),
        (dict(type='Edges'), "Edges(keep_as='gt_img')"),
        (dict(type='SplitPair'), "SplitPair(source='left')"),
    ],
)
def test_builds_from_a_config(cfg, shown):
    with DefaultScope.overwrite_default_scope('mmamp'):
        assert repr(TRANSFORMS.build(cfg)) == shown
