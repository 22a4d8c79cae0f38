"""What a convolution takes within, beside what torch's profiler sees."""

import json

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

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
    trace = folder / 'trace.json'
    profiler.export_chrome_trace(str(trace))
    events = json.loads(trace.read_text())['traceEvents']
    totals = [
        x['args']['Total Allocated']
        for x in sorted(events, key=lambda x: x.get('ts', 0))
        if x.get('name') == '[memory]'
    ]
    before = totals[0] - next(
        x['args']['Bytes']
        for x in sorted(events, key=lambda x: x.get('ts', 0))
        if x.get('name') == '[memory]'
    )
    return result, max(totals) - before


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
        args = (
            *(image, weight, None, [size - 2] * 2, PADDING, DILATION),
            *(transposed, [0, 0], GROUPS),
        )
        output, most = most_allocated(tmp_path, lambda: FORWARD(*args))
        within = taken_within(FORWARD, args, output, 'cpu')
        assert bytes_of(output) + within == pytest.approx(most, rel=SHARE)

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
        output = FORWARD(image, weight, None, *geometry)
        args = (
            *(torch.ones_like(output), image, weight, None, *geometry),
            [*asked, False],
        )
        found, most = most_allocated(tmp_path, lambda: BACKWARD(*args))
        within = taken_within(BACKWARD, args, found, 'cpu')
        assert bytes_of(*found) + within == pytest.approx(most, rel=SHARE)


def test_what_lies_in_no_format_is_copied(tmp_path):
    image, weight = tensors(PLAIN, PLAIN, False, 3, torch.float32)
    image = image.transpose(2, 3)
    args = (image, weight, None, [1, 1], PADDING, DILATION, False, [0, 0], 1)
    output, most = most_allocated(tmp_path, lambda: FORWARD(*args))
    within = taken_within(FORWARD, args, output, 'cpu')
    assert bytes_of(output) + within == pytest.approx(most, rel=SHARE)
    assert taken_within(FORWARD, args, output, 'cuda') == image.nbytes


@pytest.mark.parametrize('dilation', [1, 2])
@pytest.mark.parametrize('transposed', [False, True])
def test_patches(transposed, dilation, tmp_path):
    """float64 is none of oneDNN's."""
    image, weight = tensors(PLAIN, PLAIN, transposed, 3, torch.float64)
    geometry = ([1, 1], PADDING, [dilation] * 2, transposed, [0, 0], 1)
    args = (image, weight, None, *geometry)
    output, most = most_allocated(tmp_path, lambda: FORWARD(*args))
    within = taken_within(FORWARD, args, output, 'cpu')
    assert bytes_of(output) + within == pytest.approx(most, rel=SHARE)
    args = (
        *(torch.ones_like(output), image, weight, None, *geometry),
        [True, True, False],
    )
    found, most = most_allocated(tmp_path, lambda: BACKWARD(*args))
    within = taken_within(BACKWARD, args, found, 'cpu')
    assert bytes_of(*found) + within == pytest.approx(most, rel=SHARE)


@pytest.mark.parametrize('asked', [[True, True], [True, False], [False, True]])
@pytest.mark.parametrize(('size', 'groups'), [(1, 1), (3, 1), (3, 8)])
def test_patches_of_what_is_asked_for(size, groups, asked, tmp_path):
    torch.manual_seed(0)
    image = torch.randn(8, 64, 16, 16, dtype=torch.float64)
    weight = torch.randn(64, 64 // groups, size, size, dtype=torch.float64)
    padding = [size // 2] * 2
    geometry = ([1, 1], padding, DILATION, False, [0, 0], groups)
    args = (image, weight, None, *geometry)
    output, most = most_allocated(tmp_path, lambda: FORWARD(*args))
    within = taken_within(FORWARD, args, output, 'cpu')
    # Of groups the parts are copied, and put together.
    room = 2 * image.nbytes if groups > 1 else 0
    assert 0 <= most - bytes_of(output) - within <= room + SHARE * most
    args = (
        *(torch.ones_like(output), image, weight, None, *geometry),
        [*asked, False],
    )
    found, most = most_allocated(tmp_path, lambda: BACKWARD(*args))
    within = taken_within(BACKWARD, args, found, 'cpu')
    rest = most - bytes_of(*found) - within
    assert -SHARE * most <= rest <= 2 * room + SHARE * most


def test_nothing_to_convolve():
    image, weight = torch.zeros(0, 4, 8, 8), torch.zeros(4, 4, 3, 3)
    args = (image, weight, None, [1, 1], PADDING, DILATION, False, [0, 0], 1)
    assert taken_within(FORWARD, args, FORWARD(*args), 'cpu') == 0
