import numpy as np
import pytest
import torch
from pytorch_msssim import ssim
from scipy.signal import correlate

from mmamp.evaluation import SSIM


def score(evaluate, metric, real, fake):
    return evaluate(metric, real, fake, key='gt_img')['SSIM']


def formula(real, fake):
    """Equation 13 of Wang et al. over an 11x11 Gaussian window, in double."""
    line = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line)[None, None] / line.sum() ** 2
    x, y = (np.asarray(z, dtype=np.float64) for z in (real, fake))

    def mean(values):
        return correlate(values, window, mode='valid', method='direct')

    mx, my = mean(x), mean(y)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    covariance = mean(x * y) - mx * my
    variances = mean(x * x) - mx**2 + mean(y * y) - my**2
    return np.mean(
        (2 * mx * my + c1)
        / (mx**2 + my**2 + c1)
        * (2 * covariance + c2)
        / (variances + c2)
    )


@pytest.mark.parametrize('channels', [1, 3])
def test_is_that_of_another_implementation(evaluate, images, channels):
    real = images(9, channels, size=24)
    fake = (real * 0.8 + images(9, channels, size=24, seed=1) * 0.3).byte()
    expected = ssim(real.double(), fake.double(), data_range=255).item()
    assert 0.3 < expected < 0.95
    found = score(evaluate, SSIM(), real, fake)
    # Its window is of float32.
    assert found == pytest.approx(expected, abs=1e-4)
    assert found == pytest.approx(formula(real, fake), abs=1e-9)


@pytest.mark.parametrize('channels', [1, 3])
def test_of_bright_and_flat_pictures(evaluate, channels):
    """Whose variances are differences of large squares."""
    generator = torch.Generator().manual_seed(0)
    shape = (4, channels, 32, 32)
    real, fake = (
        torch.randint(250, 256, shape, generator=generator).byte()
        for _ in range(2)
    )
    found = score(evaluate, SSIM(), real, fake)
    assert 0.3 < found < 0.95
    assert found == pytest.approx(formula(real, fake), abs=1e-9)


def test_of_blank_images(evaluate):
    """Only the luminance term is left: (2ab + c) / (a**2 + b**2 + c)."""
    real = torch.full((2, 1, 16, 16), 100, dtype=torch.uint8)
    fake = torch.full((2, 1, 16, 16), 150, dtype=torch.uint8)
    c = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c) / (100**2 + 150**2 + c)
    found = score(evaluate, SSIM(), real, fake)
    assert found == pytest.approx(expected, abs=1e-9)


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
    expected = formula(*cut)
    metric = SSIM(crop_border=4, convert_to='Y')
    assert score(evaluate, metric, real, fake) == pytest.approx(
        expected, abs=1e-6
    )


def test_too_small(evaluate, images):
    with pytest.raises(ValueError, match='SSIM.*11x11.*got 10x10'):
        score(evaluate, SSIM(), images(2, size=10), images(2, size=10))
