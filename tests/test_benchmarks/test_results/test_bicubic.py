"""Of ``benchmarks.results``, what a network is held against."""

from pathlib import Path

import pytest

from benchmarks.results.bicubic import of_bicubic

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'


def test_of_super_resolution():
    found = of_bicubic(CONFIGS / 'srgan/srgan_photos-x4.py')
    # By OpenCV's INTER_CUBIC it is 21.596.
    assert found['PSNR'] == pytest.approx(21.6, abs=0.05)


@pytest.mark.parametrize(
    'name',
    ['dcgan/dcgan_digits-32x32.py', 'pix2pix/pix2pix_digits-edges-32x32.py'],
)
def test_of_others(name):
    assert of_bicubic(CONFIGS / name) is None
