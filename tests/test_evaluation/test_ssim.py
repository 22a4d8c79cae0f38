import pytest
import torch
from pytorch_msssim import ssim

from mmamp.evaluation import SSIM


def score(evaluate, metric, real, fake):
    return evaluate(metric, real, fake, key='gt_img')['SSIM']


@pytest.mark.parametrize('channels', [1, 3])
def test_is_that_of_another_implementation(evaluate, images, channels):
    real = images(9, channels, size=24)
    fake = (real * 0.8 + images(9, channels, size=24, seed=1) * 0.3).byte()
    expected = ssim(real.double(), fake.double(), data_range=255).item()
    assert 0.3 < expected < 0.95
    found = score(evaluate, SSIM(), real, fake)
    assert found == pytest.approx(expected, abs=1e-4)


def test_of_blank_images(evaluate):
    """Only the luminance term is left: (2ab + c) / (a**2 + b**2 + c)."""
    real = torch.full((2, 1, 16, 16), 100, dtype=torch.uint8)
    fake = torch.full((2, 1, 16, 16), 150, dtype=torch.uint8)
    c = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c) / (100**2 + 150**2 + c)
    found = score(evaluate, SSIM(), real, fake)
    assert found == pytest.approx(expected, abs=1e-3)


def test_of_the_same(evaluate, images):
    real = images(3)
    assert score(evaluate, SSIM(), real, real) == pytest.approx(1)


def test_border_and_luminance(evaluate, images):
    real = images(4, 3, size=28)
    fake = images(4, 3, size=28, seed=1) // 2 + real // 2
    weights = torch.tensor([65.481, 128.553, 24.966]).double() / 255
    cut = [
        (x[..., 4:-4, 4:-4] * weights.view(1, 3, 1, 1)).sum(1, True) + 16
        for x in (real, fake)
    ]
    expected = ssim(*cut, data_range=255).item()
    metric = SSIM(crop_border=4, convert_to='Y')
    assert score(evaluate, metric, real, fake) == pytest.approx(
        expected, abs=1e-4
    )


def test_too_small(evaluate, images):
    with pytest.raises(ValueError, match='SSIM.*11x11.*got 10x10'):
        score(evaluate, SSIM(), images(2, size=10), images(2, size=10))
