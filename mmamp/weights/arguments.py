"""What weights tell of the arguments of their network."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from .templates import Template


def size_of(
    name: str, axis: int, times: int = 1, over: int = 1
) -> Callable[[Mapping[str, Tensor]], int | None]:
    """Make an argument of the length of an axis.

    Args:
        name (str): Of the tensor.
        axis (int): Which.
        times (int): What it is multiplied by. Defaults to 1.
        over (int): What it is divided by then. Defaults to 1.
    """

    def read(theirs: Mapping[str, Tensor]) -> int | None:
        tensor = theirs.get(name)
        if tensor is None or tensor.dim() <= axis:
            return None
        length: int = tensor.shape[axis]
        return length * times // over

    return read


def count_of(
    name: str, less: int = 0
) -> Callable[[Mapping[str, Tensor]], int]:
    """Make an argument of how many names there are.

    Args:
        name (str): A template with a number.
        less (int): Subtracted. Defaults to 0.
    """
    template = Template(name, {}, ours=False)

    def read(theirs: Mapping[str, Tensor]) -> int:
        found = sum(template.match(x) is not None for x in theirs)
        return found - less

    return read


def doubled_by(
    name: str, smallest: int
) -> Callable[[Mapping[str, Tensor]], int]:
    """Make an argument that doubles with each name there is.

    Args:
        name (str): A template with a number.
        smallest (int): What it is without any.
    """
    count = count_of(name)
    return lambda theirs: smallest << count(theirs)


def norm_of(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tell the norm layers of mmcv's ``ConvModule`` by their names.

    Args:
        theirs (Mapping[str, Tensor]): By name.
    """
    names = {part for name in theirs for part in name.split('.')}
    if 'bn' in names:
        return dict(type='BN')
    return dict(type='IN', **({'affine': True} if 'in' in names else {}))


def always(value: Any) -> Callable[[Mapping[str, Tensor]], Any]:
    """Make an argument that the format has, whatever the tensors are.

    Args:
        value (Any): Of the argument.
    """
    return lambda theirs: value
