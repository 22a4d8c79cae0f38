import logging

import pytest
import torch
from pytorch_msssim import ms_ssim, ssim
from pytorch_msssim.ssim import _fspecial_gauss_1d, _ssim

from mmamp.evaluation import MSSSIM

NAME = 'MS-SSIM'


def pairs_of(metric):
    """The images of the pairs, in their order, in double precision."""
    drawn = sorted(metric.results, key=lambda result: result[0])
    drawn = drawn[: min(2 * metric.num_pairs, len(drawn) // 2 * 2)]
    kept = torch.stack([torch.from_numpy(image) for _, image in drawn])
    return kept[::2].double(), kept[1::2].double()


def fill(metric, fake):
    metric.process(None, [dict(fake_img=image) for image in fake])
    return pairs_of(metric)


class TestValues:
    def test_five_scales(self, images):
        metric = MSSSIM()
        # Not noise, of which the negative terms would count as none.
        base = images(1, size=176)
        fake = (base * 0.7 + images(8, size=176, seed=1) * 0.3).byte()
        one, other = fill(metric, fake)
        expected = ms_ssim(one, other, data_range=255).item()
        assert 0.3 < expected < 0.95
        assert metric.evaluate(8)[NAME] == pytest.approx(expected, rel=1e-4)

    def test_two_scales_of_small_images(self, images):
        metric = MSSSIM()
        fake = (images(1) * 0.7 + images(10, seed=1) * 0.3).byte()
        one, other = fill(metric, fake)
        window = _fspecial_gauss_1d(11, 1.5).double()[None]
        _, contrast = _ssim(one, other, 255, window)
        one, other = (
            torch.nn.functional.avg_pool2d(x, 2) for x in (one, other)
        )
        last = ssim(one, other, data_range=255, size_average=False)
        fine, coarse = 0.0448 / 0.3304, 0.2856 / 0.3304
        expected = (contrast[:, 0] ** fine * last**coarse).mean().item()
        assert 0.3 < expected < 0.95
        assert metric.evaluate(10)[NAME] == pytest.approx(expected, rel=1e-4)

    @pytest.mark.parametrize('channels', [1, 3])
    def test_all_alike(self, evaluate, images, channels):
        same = images(1, channels).repeat(6, 1, 1, 1)
        assert evaluate(MSSSIM(), same, same)[NAME] == pytest.approx(1)

    def test_falls_with_diversity(self, evaluate, images):
        base, noise = images(1), images(40, seed=1)
        found = [
            evaluate(MSSSIM(), noise, (base * (1 - x) + noise * x).byte())[
                NAME
            ]
            for x in (0.1, 0.4, 0.9)
        ]
        assert found[0] > found[1] > found[2]
        assert found[0] > 0.8
        assert found[2] < 0.5


class TestScales:
    @pytest.mark.parametrize(
        ('size', 'scales'),
        [(11, 1), (21, 1), (22, 2), (44, 3), (90, 4), (175, 4)],
    )
    def test_too_few_are_told_once(self, mm_log, images, size, scales):
        metric = MSSSIM()
        for _ in range(2):
            fill(metric, images(2, size=size))
        metric.evaluate(4)
        text = mm_log(logging.INFO)
        assert text.count(f'compared at {scales}') == 1
        assert f'{size}x{size}' in text

    def test_five_are_not_told(self, mm_log, images):
        fill(MSSSIM(), images(2, size=176))
        assert not mm_log(logging.INFO)

    def test_too_small_for_a_window(self, images):
        with pytest.raises(ValueError, match='at least 11x11.*got 8x8'):
            fill(MSSSIM(), images(2, size=8))


class TestPairs:
    def test_no_image_is_in_two(self):
        metric = MSSSIM(num_pairs=4)
        fake = torch.arange(20).byte().view(20, 1, 1, 1).repeat(1, 1, 16, 16)
        drawn = torch.cat(fill(metric, fake))[:, 0, 0, 0]
        assert len(set(drawn.tolist())) == 8
        # Not the first ones.
        assert drawn.max() >= 10

    def test_only_their_images_are_kept(self, images):
        metric = MSSSIM(num_pairs=3)
        for seed in range(4):
            fill_only = [dict(fake_img=x) for x in images(5, seed=seed)]
            metric.process(None, fill_only)
        assert len(metric.results) == 20
        kept = [image for _, image in metric.results if image is not None]
        assert len(kept) == 7
        lots = sorted(lot for lot, _ in metric.results)
        assert {x for x, image in metric.results if image is not None} == (
            set(lots[:7])
        )

    def test_dropping_changes_nothing(self, images):
        fake = images(20)
        whole, parts = MSSSIM(num_pairs=3), MSSSIM(num_pairs=3)
        fill(whole, fake)
        for image in fake:
            parts.process(None, [dict(fake_img=image)])
        assert whole.evaluate(20) == parts.evaluate(20)

    def test_an_odd_one_is_left_out(self, images):
        metric = MSSSIM()
        fill(metric, images(5))
        assert 0 <= metric.evaluate(5)[NAME] < 1

    def test_one_image(self, images):
        metric = MSSSIM()
        metric.process(None, [dict(fake_img=images(1)[0])])
        with pytest.raises(ValueError, match='at least two'):
            metric.evaluate(1)

    def test_seed(self, evaluate, images):
        fake = images(30)
        values = [
            evaluate(MSSSIM(num_pairs=5, seed=seed), fake, fake)
            for seed in (0, 0, 1)
        ]
        assert values[0] == values[1] != values[2]


def _score(rank, world_size, fake):
    metric = MSSSIM(num_pairs=2)
    # The last batch is filled up with the first image, as torch's samplers do.
    for i in range(rank, len(fake) + len(fake) % world_size, world_size):
        metric.process(None, [dict(fake_img=fake[i % len(fake)])])
    return metric.evaluate(len(fake))[NAME]


def test_any_number_of_ranks(in_ranks, images, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fake = images(9)
    assert in_ranks(2, _score, fake) == [_score(0, 1, fake)] * 2
