"""Memory that a convolution takes within, beyond what it returns.

To torch's dispatcher it is one operator: what its kernels copy on the way is
seen by the allocator alone. On a CPU the sizes, the dtype and the number of
threads choose a kernel (``native/Convolution.cpp`` of torch 2.13). oneDNN's
bring what they are given into layouts of their own, of tensors in
channels-last format only the weight (``native/mkldnn/Conv.cpp``). Others make
a matrix of patches (``native/ConvolutionMM2d.cpp`` and its neighbours).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmamp.compat.torch import kernel_of_convolution

FORWARD = torch.ops.aten.convolution.default
BACKWARD = torch.ops.aten.convolution_backward.default
CONVOLVES = (FORWARD, BACKWARD)
_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def taken_within(
    func: Any, args: Sequence[Any], result: Any, device: str
) -> int:
    """Return the bytes that a convolution takes beyond its results.

    Args:
        func (OpOverload): Of :data:`CONVOLVES`.
        args (Sequence): What it is called with.
        result (Tensor or tuple): What it returns.
        device (str): Where it would run, as in ``torch.device(...).type``. Of
            others than the CPU only the copies are known that are made of what
            lies in no memory format.

    Returns:
        int: At its peak.
    """
    if func is FORWARD:
        image, weight, _, *geometry = args
        call = _Convolution(False, result, image, weight, *geometry)
    else:
        grad, image, weight, _, *geometry, _ = args
        call = _Convolution(True, grad, image, weight, *geometry)
    if device != 'cpu':
        return sum(_bytes(x) for x in call.given if not _has_format(x))
    kernel = call.kernel()
    if kernel == 'Empty':
        return 0
    if kernel.startswith('Slow'):
        return call.patches(kernel, func is FORWARD or args[-1][1])
    if func is FORWARD:
        return call.forward()
    return call.backward(*args[-1][:2])


@dataclass(frozen=True)
class _Convolution:
    """One call; ``output`` is its gradient in a backward one."""

    is_backward: bool
    output: Tensor
    image: Tensor
    weight: Tensor
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    transposed: bool
    output_padding: Sequence[int]
    groups: int

    @property
    def given(self) -> list[Tensor]:
        """list[Tensor]: What comes in."""
        given = [self.image, self.weight]
        return [self.output, *given] if self.is_backward else given

    @property
    def is_last(self) -> bool:
        """bool: Whether torch takes it for one in channels-last format."""
        return any(
            x.dim() in _LAST
            and not x.is_contiguous()
            and x.is_contiguous(memory_format=_LAST[x.dim()])
            for x in (self.image, self.weight)
        )

    def kernel(self) -> str:
        """Return torch's name for what runs it."""
        return kernel_of_convolution(
            *(self.image, self.weight, self.stride, self.padding),
            *(self.dilation, self.transposed, self.output_padding),
            self.groups,
        )

    def copies(self) -> int:
        """Return the bytes that torch copies into one format."""
        last = self.is_last
        return sum(
            _bytes(x)
            for x in self.given
            if not x.is_contiguous(
                memory_format=_LAST[x.dim()]
                if last and x.dim() in _LAST
                else torch.contiguous_format
            )
        )

    def forward(self) -> int:
        """Return what oneDNN takes for an output."""
        image, weight = _bytes(self.image), _bytes(self.weight)
        if self.is_last:
            return self.copies() + weight
        # Its own layout of the output is brought into the plain one.
        output = _bytes(self.output)
        if self.transposed and max(self.stride) > 1:
            output *= 2
        return self.copies() + max(image + weight, output)

    def backward(self, of_image: bool, of_weight: bool) -> int:
        """Return what oneDNN takes for gradients.

        Args:
            of_image (bool): Whether that of the image is asked for.
            of_weight (bool): Whether that of the weight is.
        """
        image, weight = _bytes(self.image), _bytes(self.weight)
        if self.is_last:
            return self.copies() + (1 + of_weight) * weight
        grad = _bytes(self.output)
        if of_weight:
            return self.copies() + max(image + grad, weight)
        strided = not self.transposed and max(self.stride) > 1
        return self.copies() + max(grad + weight, (1 + strided) * image)

    def patches(self, kernel: str, of_all: bool) -> int:
        """Return what the matrices of patches take.

        Args:
            kernel (str): One of torch's own.
            of_all (bool): Whether an output, or the weight's gradient, is
                asked for.
        """
        spatial = math.prod(self.weight.shape[2:])
        is_its_own = (
            spatial == 1 and max(self.stride) == 1 and not any(self.padding)
        )
        if is_its_own or not (of_all or self.transposed):
            return self.copies()
        sides = (self.image, self.output)
        # Patches are of the larger side, a column for each of the smaller.
        large, small = reversed(sides) if self.transposed else sides
        columns = (
            large.shape[1]
            // self.groups
            * spatial
            * math.prod(small.shape[2:])
            * large.element_size()
        )
        one_by_one = self.transposed and self.is_backward
        if 'Dilated' not in kernel and not one_by_one:
            columns *= len(small)
        return self.copies() + columns


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _has_format(tensor: Tensor) -> bool:
    """Tell whether a tensor is in a memory format."""
    formats = [torch.contiguous_format]
    if tensor.dim() in _LAST:
        formats.append(_LAST[tensor.dim()])
    return any(tensor.is_contiguous(memory_format=x) for x in formats)
