"""What a tensor is in memory."""

import torch
from torch import Tensor, nn


def is_plain(tensor: Tensor) -> bool:
    """Tell whether a tensor is strided numbers, and of no subclass.

    Args:
        tensor (Tensor): Any; a parameter may be plain.
    """
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.layout is torch.strided
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
    )
