import pytest
import torch

from mmamp.datasets import DigitsDataset
from mmamp.evaluation import DigitShare


def digits(*classes):
    found = [x['img'] for x in DigitsDataset(classes=list(classes))]
    return torch.stack([torch.from_numpy(x) for x in found])[:, None]


def test_of_three_digits_and_noise(evaluate):
    real = digits(0, 4, 7)
    noise = torch.randint(
        0, 256, real.shape, generator=torch.Generator().manual_seed(0)
    )
    fake = torch.cat([real, noise.byte()])
    found = evaluate(DigitShare(), fake, fake, batch_size=100)
    assert found['digits/kinds'] == 3
    assert found['digits/rarest'] == 0
    assert 45 <= found['digits/share'] <= 51


def test_of_blank_images(evaluate):
    blank = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    found = evaluate(DigitShare(), blank, blank)
    assert found == {
        'digits/share': 0,
        'digits/rarest': 0,
        'digits/kinds': 0,
    }


def test_the_rarest_of_all_ten(evaluate):
    some = [digits(i)[: 20 if i == 6 else 90] for i in range(10)]
    fake = torch.cat(some)
    found = evaluate(DigitShare(), fake, fake, batch_size=100)
    assert found['digits/kinds'] == 10
    # The classifier knows some 98 of 100.
    assert 1.8 <= found['digits/rarest'] <= 100 * 20 / len(fake)
    # Others are null in MMEngine's log of a test.
    assert {type(value) for value in found.values()} == {float}


def test_of_colour_images(evaluate):
    colour = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match='8k'):
        evaluate(DigitShare(), colour, colour)
