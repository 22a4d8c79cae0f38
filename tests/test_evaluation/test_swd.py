import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from scipy.stats import wasserstein_distance

from mmamp.evaluation.swd import (
    SWD,
    laplacian_pyramid,
    normalised,
    sliced_wasserstein,
)
from mmamp.registry import METRICS


def directions(num, size):
    drawn = np.random.RandomState(0).normal(size=(num, size))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


class TestDistance:
    def test_is_scipys_along_each_direction(self):
        random = np.random.RandomState(1)
        one, other = random.normal(size=(2, 50, 6))
        other = other**3 + 1
        along = directions(9, 6)
        expected = [
            wasserstein_distance(one @ axis, other @ axis) for axis in along
        ]
        np.testing.assert_allclose(
            sliced_wasserstein(one, other, along), expected
        )

    def test_of_a_shifted_set_is_the_shift(self):
        one = np.random.RandomState(1).normal(size=(40, 5))
        shift = np.array([3.0, -1, 0, 2, 5])
        along = directions(7, 5)
        found = sliced_wasserstein(one, (one + shift)[::-1], along)
        np.testing.assert_allclose(found, abs(along @ shift))


class TestPyramid:
    def test_sizes(self):
        levels = laplacian_pyramid(torch.rand(2, 3, 128, 64))
        sizes = [tuple(level.shape[2:]) for level in levels]
        assert sizes == [(128, 64), (64, 32), (32, 16)]

    def test_of_an_odd_size(self):
        levels = laplacian_pyramid(torch.rand(1, 1, 33, 47))
        assert [x.shape[2:] for x in levels] == [(33, 47), (17, 24)]

    def test_is_scipys(self):
        image = torch.rand(1, 1, 32, 32, dtype=torch.float64)
        row = np.array([1, 4, 6, 4, 1]) / 16
        kernel = np.outer(row, row)
        pixels = image[0, 0].numpy()
        small = convolve(pixels, kernel, mode='mirror')[::2, ::2]
        spread = np.zeros((32, 32))
        spread[::2, ::2] = small
        detail = pixels - convolve(spread, kernel * 4, mode='mirror')
        found = [level[0, 0].numpy() for level in laplacian_pyramid(image)]
        np.testing.assert_allclose(found[0], detail, atol=1e-12)
        np.testing.assert_allclose(found[1], small, atol=1e-12)

    def test_too_small(self):
        with pytest.raises(ValueError, match='at least 16x16.*got 32x15'):
            laplacian_pyramid(torch.rand(1, 1, 32, 15))


class TestNormalised:
    def test_each_channel(self):
        patches = np.random.RandomState(0).normal(5, 3, (20, 2, 7, 7))
        patches[:, 1] *= 9
        found = normalised(patches.astype(np.float16)).reshape(20, 2, 49)
        np.testing.assert_allclose(found.mean((0, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(found.std((0, 2)), 1, atol=1e-5)
        mean, std = patches.mean((0, 2, 3)), patches.std((0, 2, 3))
        expected = (patches[3, :, 2, 4] - mean) / std
        np.testing.assert_allclose(
            found.reshape(20, 2, 7, 7)[3, :, 2, 4], expected, atol=2e-3
        )

    def test_a_blank_one(self):
        assert (normalised(np.full((3, 1, 7, 7), 9.0)) == 0).all()


class TestMetric:
    @pytest.fixture
    def build(self):
        def make(**kwargs):
            return SWD(**dict(num_patches=8, num_directions=32) | kwargs)

        return make

    def test_of_the_same_set_is_zero(self, build, evaluate, images):
        same = images(20, channels=3)
        found = evaluate(build(), same, same)
        assert found == {'SWD/avg': 0, 'SWD/32': 0, 'SWD/16': 0}

    @pytest.mark.parametrize('channels', [1, 3])
    def test_rises_with_noise(self, build, evaluate, images, channels):
        real = images(60, channels)
        noise = torch.randn(
            real.shape, generator=torch.Generator().manual_seed(0)
        )
        found = [
            evaluate(
                build(),
                real,
                (real + noise * deviation).clamp(0, 255).byte(),
            )['SWD/avg']
            for deviation in (0, 10, 30, 60)
        ]
        assert found == sorted(found)
        assert found[1] > 5
        # What is reported is the distance times 1000, of data of deviation 1.
        assert 50 < found[3] < 1000

    def test_average_is_of_the_levels(self, build, evaluate, images):
        found = evaluate(build(), images(9, size=64), images(9, 1, 64, 1))
        levels = [found[f'SWD/{size}'] for size in (64, 32, 16)]
        assert found['SWD/avg'] == pytest.approx(np.mean(levels))

    def test_whole_path_against_the_parts(self, build, evaluate, images):
        """With many patches it is the distance of the sets of all of them."""
        real, fake = images(30, size=16), images(30, size=16, seed=5)
        metric = build(num_patches=3000, num_repeats=8)
        found = evaluate(metric, real, fake)['SWD/16']
        every = [
            x.float().unfold(2, 7, 1).unfold(3, 7, 1).reshape(-1, 1, 7, 7)
            for x in (real, fake)
        ]
        expected = sliced_wasserstein(
            *(normalised(x.numpy()) for x in every), directions(2000, 49)
        ).mean()
        assert found == pytest.approx(1000 * expected, rel=0.1)

    def test_does_not_depend_on_batches(self, build, evaluate, images):
        real, fake = images(20), images(20, seed=1)
        values = [
            evaluate(build(), real, fake, batch_size=size)
            for size in (1, 7, 20)
        ]
        assert values[0] == values[1] == values[2]

    def test_seed(self, build, evaluate, images):
        real, fake = images(20), images(20, seed=1)
        first, second = (
            evaluate(build(seed=seed), real, fake)['SWD/avg']
            for seed in (0, 1)
        )
        assert first != second
        assert first == pytest.approx(second, rel=0.3)

    def test_real_key(self, build, evaluate, images):
        same = images(9)
        metric = build(real_key='gt_img')
        assert evaluate(metric, same, same, key='gt_img')['SWD/avg'] == 0

    def test_keeps_one_entry_a_sample(self, build, images):
        metric = METRICS.build(dict(type='mmamp.SWD', num_patches=8))
        fake = [dict(fake_img=image) for image in images(5)]
        metric.process(dict(inputs=images(5)), fake)
        assert len(metric.results) == 5
        assert metric.results[0]['32'].shape == (2, 8, 1, 7, 7)

    @pytest.mark.parametrize('name', ['num_patches', 'num_repeats'])
    def test_no_number(self, name):
        with pytest.raises(ValueError, match=f'{name}.*>= 1.*got 0'):
            SWD(**{name: 0})


def _score(rank, world_size, real, fake):
    metric = SWD(num_patches=8, num_directions=32)
    for i in range(rank, len(real), world_size):
        metric.process(dict(inputs=real[i : i + 1]), [dict(fake_img=fake[i])])
    return metric.evaluate(len(real))['SWD/avg']


def test_any_number_of_ranks(in_ranks, images, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    real, fake = images(9), images(9, seed=1)
    found = in_ranks(2, _score, real[:8], fake[:8])
    assert found == [_score(0, 1, real[:8], fake[:8])] * 2
