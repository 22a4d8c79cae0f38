"""What a convolution takes within, beside what torch's profiler sees."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.plan.measure import MEMORY, events_of
from mmamp.plan.convolutions import BACKWARD, FORWARD, taken_within

CHANNELS_LAST, PLAIN = torch.channels_last, torch.contiguous_format
SHARE = 0.15
"""Scratch of each thread is not foretold."""
PADDING, DILATION, GROUPS = [1, 1], [1, 1], 1


def most_allocated(folder, call):
    """Call it; what it returns, and the most that was allocated meanwhile."""
    with profile(
        activities=[ProfilerActivity.CPU], profile_memory=True
    ) as profiler:
        result = call()
    events = sorted(events_of(profiler, folder), key=lambda x: x.get('ts', 0))
    seen = [x['args'] for x in events if x.get('name') == MEMORY]
    before = seen[0]['Total Allocated'] - seen[0]['Bytes']
    return result, max(x['Total Allocated'] for x in seen) - before


def forward(folder, image, weight, geometry):
    """What it returns, what it took at most, and what was foretold of it."""
    args = (image, weight, None, *geometry)
    output, most = most_allocated(folder, lambda: FORWARD(*args))
    within = taken_within(FORWARD, args, output, 'cpu')
    return output, most, bytes_of(output) + within


def backward(folder, image, weight, geometry, asked=(True, True)):
    """What it took at most, and what was foretold of it."""
    grad = torch.ones_like(FORWARD(image, weight, None, *geometry))
    args = (grad, image, weight, None, *geometry, [*asked, False])
    found, most = most_allocated(folder, lambda: BACKWARD(*args))
    within = taken_within(BACKWARD, args, found, 'cpu')
    return most, bytes_of(*found) + within


def bytes_of(*tensors):
    return sum(x.nbytes for x in tensors if x is not None)


def tensors(image_format, weight_format, transposed, size, dtype):
    torch.manual_seed(0)
    image = torch.randn(8, 64, 16, 16, dtype=dtype)
    weight = torch.randn(64, 64, size, size, dtype=dtype)
    return (
        image.contiguous(memory_format=image_format),
        weight.contiguous(memory_format=weight_format),
    )


@pytest.mark.parametrize('size', [3, 4])
@pytest.mark.parametrize('transposed', [False, True])
@pytest.mark.parametrize('weight_format', [PLAIN, CHANNELS_LAST])
@pytest.mark.parametrize('image_format', [PLAIN, CHANNELS_LAST])
class TestOneDNN:
    def test_forward(
        self, image_format, weight_format, transposed, size, tmp_path
    ):
        image, weight = tensors(
            image_format, weight_format, transposed, size, torch.float32
        )
        geometry = (
            *([size - 2] * 2, PADDING, DILATION, transposed, [0, 0], GROUPS),
        )
        _, most, foretold = forward(tmp_path, image, weight, geometry)
        assert foretold == pytest.approx(most, rel=SHARE)

    @pytest.mark.parametrize(
        'asked', [[True, True], [True, False], [False, True]]
    )
    def test_backward(
        self, image_format, weight_format, transposed, size, asked, tmp_path
    ):
        image, weight = tensors(
            image_format, weight_format, transposed, size, torch.float32
        )
        geometry = (
            *([size - 2] * 2, PADDING, DILATION, transposed, [0, 0], GROUPS),
        )
        most, foretold = backward(tmp_path, image, weight, geometry, asked)
        assert foretold == pytest.approx(most, rel=SHARE)


def test_what_lies_in_no_format_is_copied(tmp_path):
    image, weight = tensors(PLAIN, PLAIN, False, 3, torch.float32)
    image = image.transpose(2, 3)
    geometry = ([1, 1], PADDING, DILATION, False, [0, 0], 1)
    output, most, foretold = forward(tmp_path, image, weight, geometry)
    assert foretold == pytest.approx(most, rel=SHARE)
    args = (image, weight, None, *geometry)
    assert taken_within(FORWARD, args, output, 'cuda') == image.nbytes


@pytest.mark.parametrize('dilation', [1, 2])
@pytest.mark.parametrize('transposed', [False, True])
def test_patches(transposed, dilation, tmp_path):
    """float64 is none of oneDNN's."""
    image, weight = tensors(PLAIN, PLAIN, transposed, 3, torch.float64)
    geometry = ([1, 1], PADDING, [dilation] * 2, transposed, [0, 0], 1)
    _, most, foretold = forward(tmp_path, image, weight, geometry)
    assert foretold == pytest.approx(most, rel=SHARE)
    most, foretold = backward(tmp_path, image, weight, geometry)
    assert foretold == pytest.approx(most, rel=SHARE)


@pytest.mark.parametrize('asked', [[True, True], [True, False], [False, True]])
@pytest.mark.parametrize(('size', 'groups'), [(1, 1), (3, 1), (3, 8)])
def test_patches_of_what_is_asked_for(size, groups, asked, tmp_path):
    torch.manual_seed(0)
    image = torch.randn(8, 64, 16, 16, dtype=torch.float64)
    weight = torch.randn(64, 64 // groups, size, size, dtype=torch.float64)
    padding = [size // 2] * 2
    geometry = ([1, 1], padding, DILATION, False, [0, 0], groups)
    _, most, foretold = forward(tmp_path, image, weight, geometry)
    # Of groups the parts are copied, and put together.
    room = 2 * image.nbytes if groups > 1 else 0
    assert 0 <= most - foretold <= room + SHARE * most
    most, foretold = backward(tmp_path, image, weight, geometry, asked)
    assert -SHARE * most <= most - foretold <= 2 * room + SHARE * most


def test_nothing_to_convolve():
    image, weight = torch.zeros(0, 4, 8, 8), torch.zeros(4, 4, 3, 3)
    args = (image, weight, None, [1, 1], PADDING, DILATION, False, [0, 0], 1)
    assert taken_within(FORWARD, args, FORWARD(*args), 'cpu') == 0
