import pytest
import torch

from mmamp.randomness.contents import ContentRandom


def draw(samples, *shape, skip=0):
    random = ContentRandom(samples)
    for _ in range(skip):
        random.uniform(3)
    return random.uniform(*shape)


@pytest.fixture
def samples():
    torch.manual_seed(0)
    return torch.randn(50, 3, 4, 5)


def test_are_uniform(samples):
    numbers = draw(samples, 1000)
    assert numbers.shape == (50, 1000)
    assert numbers.dtype is torch.float32
    assert 0 <= numbers.min() < 0.001 < 0.999 < numbers.max() < 1
    counts = torch.histc(numbers, 50, 0, 1)
    assert (counts - 1000).abs().max() < 5 * 1000**0.5
    assert torch.corrcoef(numbers).fill_diagonal_(0).abs().max() < 0.2


def test_are_a_function_of_the_sample(samples):
    numbers = draw(samples, 2, 3)
    order = torch.randperm(50)
    assert torch.equal(draw(samples[order], 2, 3), numbers[order])
    assert torch.equal(draw(samples[7:8], 2, 3), numbers[7:8])
    assert torch.equal(draw(samples.double(), 2, 3), numbers)
    strided = samples.to(memory_format=torch.channels_last)
    assert torch.equal(draw(strided, 2, 3), numbers)


def test_each_value_counts(samples):
    numbers = draw(samples[:1], 4)
    for i in range(60):
        other = samples[:1].clone()
        value = other.view(-1)[i]
        value.copy_(value.nextafter(torch.tensor(9.0)))
        assert not (draw(other, 4) == numbers).any()
    swapped = samples[:1].flip(3)
    assert not (draw(swapped, 4) == numbers).any()


def test_zero_has_no_sign():
    zeros = torch.zeros(1, 3)
    assert torch.equal(draw(zeros, 4), draw(-zeros, 4))


def test_each_draw_is_another(samples):
    first, second = draw(samples, 9), draw(samples, 9, skip=1)
    assert not (first == second).any()
    assert not (first[:, 1:] == second[:, :-1]).any()
