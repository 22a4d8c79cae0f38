"""What DiffAugment makes of images."""

from pathlib import Path

import pytest
import torch
from given_numbers import Given
from torch.autograd import gradcheck, gradgradcheck

from mmamp.models import DiffAugment
from mmamp.randomness.samples import SampleRandom

FIGURES = torch.load(
    Path(__file__).parents[2] / 'data/originals/augment.pth',
    weights_only=True,
)['diff_augment']
X = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1


def drawn(num):
    return SampleRandom('cpu', num, 0, 0, seed=1)


@pytest.mark.parametrize('figures', FIGURES, ids=lambda x: str(x['policy']))
def test_is_the_original(figures):
    x = figures['images'].requires_grad_()
    y = DiffAugment(figures['policy'])(x, Given(figures['uniform']))
    torch.testing.assert_close(y.detach(), figures['out'])
    (gradient,) = torch.autograd.grad((y * figures['weights']).sum(), x)
    torch.testing.assert_close(gradient, figures['gradient'])


def test_color():
    numbers = torch.tensor([[0.9, 0.0, 0.5], [0.5, 0.5, 0.0]])
    y = DiffAugment(['color'])(X, Given(numbers))
    grey = X[0].mean(0, keepdim=True).expand(3, -1, -1)
    torch.testing.assert_close(y[0], grey + 0.4)
    torch.testing.assert_close(y[1], (X[1] + X[1].mean()) / 2)


def test_translation():
    """At 8x12 by one row, and by two columns."""
    y = DiffAugment(['translation'])(
        X, Given(torch.tensor([[0.99, 0.01], [0.5, 0.99]]))
    )
    expected = torch.zeros_like(X)
    expected[0, :, :-1, 2:] = X[0, :, 1:, :-2]
    expected[1, :, :, :-2] = X[1, :, :, 2:]
    assert torch.equal(y, expected)


def test_cutout():
    y = DiffAugment(['cutout'])(
        X, Given(torch.tensor([[0.5, 0.5], [0.0, 0.99]]))
    )
    expected = X.clone()
    expected[0, :, 2:6, 3:9] = 0
    expected[1, :, :2, 9:] = 0
    assert torch.equal(y, expected)


def test_derivatives():
    x = X[:, :, :5, :4].double().requires_grad_()
    augment = DiffAugment()
    assert gradcheck(lambda x: augment(x, drawn(2)), x)
    assert gradgradcheck(lambda x: augment(x, drawn(2)).sin(), x)


def test_of_narrow_images_is_float32():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = DiffAugment()(X.bfloat16(), drawn(2))
    assert torch.equal(y, DiffAugment()(X.bfloat16().float(), drawn(2)))


@pytest.mark.parametrize(
    ('policy', 'said'),
    [
        (
            ['colour'],
            "'colour' is unknown: give one of 'color', 'translation'",
        ),
        ('color', "policy must be a list .* but got 'color'"),
        ([], 'policy must be a list'),
    ],
)
def test_bad_policies(policy, said):
    with pytest.raises(ValueError, match=said):
        DiffAugment(policy)
