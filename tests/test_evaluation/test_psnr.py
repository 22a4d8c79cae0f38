import math

import pytest
import torch

from mmamp.evaluation import PSNR


def blank(value, num=2, channels=1):
    return torch.full((num, channels, 12, 12), value, dtype=torch.uint8)


def score(evaluate, metric, real, fake):
    return evaluate(metric, real, fake, key='gt_img')['PSNR']


def decibels(error):
    return 10 * math.log10(255**2 / error)


class TestValues:
    @pytest.mark.parametrize('difference', [1, 10, 255])
    def test_of_a_constant_difference(self, evaluate, difference):
        found = score(evaluate, PSNR(), blank(0), blank(difference))
        assert found == pytest.approx(decibels(difference**2), abs=1e-4)

    def test_of_the_same(self, evaluate):
        assert score(evaluate, PSNR(), blank(9), blank(9)) == math.inf

    def test_is_the_mean_of_images(self, evaluate):
        fake = torch.cat([blank(1, num=1), blank(100, num=1)])
        expected = (decibels(1) + decibels(100**2)) / 2
        found = score(evaluate, PSNR(), blank(0), fake)
        assert found == pytest.approx(expected, abs=1e-4)

    def test_of_all_channels(self, evaluate):
        fake = blank(0, channels=3)
        fake[:, 1] = 30
        found = score(evaluate, PSNR(), blank(0, channels=3), fake)
        assert found == pytest.approx(decibels(30**2 / 3), abs=1e-4)


class TestArguments:
    def test_the_border_is_left_out(self, evaluate):
        fake = blank(5)
        fake[:, :, :3], fake[..., -3:] = 200, 200
        fake[:, :, -3:], fake[..., :3] = 200, 200
        found = score(evaluate, PSNR(crop_border=3), blank(0), fake)
        assert found == pytest.approx(decibels(25), abs=1e-4)
        with_one = score(evaluate, PSNR(crop_border=2), blank(0), fake)
        assert with_one < 20

    def test_nothing_is_left(self, evaluate):
        with pytest.raises(ValueError, match='crop_border=6.*12x12'):
            score(evaluate, PSNR(crop_border=6), blank(0), blank(1))

    @pytest.mark.parametrize('channel', range(3))
    def test_luminance(self, evaluate, channel):
        """The weights of ITU-R BT.601, in the order RGB."""
        fake = blank(0, channels=3)
        fake[:, channel] = 51
        weight = [65.481, 128.553, 24.966][channel] / 255
        found = score(
            evaluate, PSNR(convert_to='Y'), blank(0, channels=3), fake
        )
        assert found == pytest.approx(decibels((51 * weight) ** 2), abs=1e-3)

    def test_luminance_of_grey_images(self, evaluate):
        with pytest.raises(ValueError, match='3 channels, but got 1'):
            score(evaluate, PSNR(convert_to='Y'), blank(0), blank(1))

    def test_another_colour_space(self):
        with pytest.raises(ValueError, match="convert_to='RGB'.*'Y'"):
            PSNR(convert_to='RGB')

    def test_another_key(self, evaluate):
        found = evaluate(PSNR(real_key='inputs'), blank(0), blank(1))
        assert found['PSNR'] == pytest.approx(decibels(1), abs=1e-4)
