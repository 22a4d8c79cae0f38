"""Sampling that can be differentiated twice, beside torch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from mmamp.models.augment.sampling import bilinear


@pytest.fixture(params=[False, True], ids=['', 'deterministic'])
def _modes(request):
    torch.use_deterministic_algorithms(request.param)
    yield
    torch.use_deterministic_algorithms(False)


def inputs(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 4, 5, generator=generator, dtype=dtype)
    # Outside, too.
    grid = torch.rand(2, 3, 6, 2, generator=generator, dtype=dtype) * 3 - 1.5
    grid[0, 0, :2] = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    return images.requires_grad_(), grid


@pytest.mark.usefixtures('_modes')
class TestBilinear:
    def test_is_torchs(self):
        images, grid = inputs(torch.float32)
        found = bilinear(images, grid)
        expected = F.grid_sample(images, grid, align_corners=True)
        torch.testing.assert_close(found, expected)
        weights = torch.randn_like(found)
        gradients = [
            torch.autograd.grad((x * weights).sum(), images)[0]
            for x in (found, expected)
        ]
        torch.testing.assert_close(*gradients)

    def test_derivatives(self):
        images, grid = inputs()
        assert gradcheck(lambda x: bilinear(x, grid), images)
        assert gradgradcheck(lambda x: bilinear(x, grid).sin(), images)
