"""Which ratios are asked for, and what is aimed at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from mmengine.device import get_device

from mmamp.precision.devices import has_native

from .models import EMPTY, MODELS_BY_NAME
from .variants import BY_HAND, FABRIC, MMAMP, STOCK, Variant

LAST = 'channels_last'

SPEED_UP = dict(dcgan=0.60, biggan=0.50)
"""Time with ``--amp`` over float32, aimed at on a CPU, by model."""

STEPS = (0, 100_000, 300_000)
"""Iterations after which the empty step is looked at."""

EPOCH = 4
"""Iterations of a small epoch; a turn of as many passes its end once."""


@dataclass(frozen=True)
class Comparison:
    """A ratio of two variants.

    Args:
        what (str): In words.
        of (Variant): The numerator.
        over (Variant): The denominator.
        target (float, optional): At most. Defaults to None: only reported.
        quantity (str): ``'time'`` or ``'memory'``. Defaults to time.
        fast (bool): Whether the target is for a device with instructions
            for the numerator's dtype. Defaults to False: for each.
    """

    what: str
    of: Variant
    over: Variant
    target: float | None = None
    quantity: str = 'time'
    fast: bool = False

    @property
    def applies(self) -> bool:
        """Tell whether the target is for this device."""
        return not self.fast or is_native(self.of.dtype)


def is_native(dtype: str) -> bool:
    """Tell whether this device has instructions for a dtype."""
    return has_native(get_device(), getattr(torch, dtype))


def comparisons(name: str, dtypes: Sequence[str]) -> list[Comparison]:
    """List the ratios of one model.

    Args:
        name (str): Of the model.
        dtypes (Sequence[str]): float32 and what else is asked for.
    """
    return list(_comparisons(name, dtypes))


def _comparisons(name: str, dtypes: Sequence[str]) -> Iterator[Comparison]:
    on_cpu = get_device() == 'cpu'
    plain = Variant(name, MMAMP)
    control = Variant(name, MMAMP, copy=1)
    yield Comparison('control: float32, twice', control, plain)
    full = Variant(name, MMAMP, 'float32', LAST)
    for dtype in dtypes:
        of = Variant(name, MMAMP, dtype, LAST)
        if dtype != 'float32':
            target = SPEED_UP.get(name) if on_cpu else 0.5
            is_aim = not on_cpu or dtype == 'bfloat16'
            yield Comparison(
                f'--amp ({dtype}, channels_last) over float32',
                of,
                plain,
                target if is_aim else None,
                fast=True,
            )
            yield Comparison(
                f'--amp ({dtype}) over float32, both channels_last',
                of,
                full,
                0.62 if on_cpu and is_aim and name in SPEED_UP else None,
                fast=True,
            )
            yield Comparison(
                f'memory: --amp ({dtype}) over float32',
                of,
                plain,
                0.65 if name == 'biggan' and on_cpu and is_aim else None,
                quantity='memory',
                fast=True,
            )
        yield from _ways(name, of)


def _ways(name: str, of: Variant) -> Iterator[Comparison]:
    """Yield mmamp under the Runner over the other ways, in one precision."""
    dtype = of.dtype
    if can_by_hand(name, dtype):
        yield Comparison(
            f'mmamp over by hand, {dtype}',
            of,
            Variant(name, BY_HAND, dtype, LAST),
            MODELS_BY_NAME[name].overhead,
        )
        if has_fabric() and (dtype != 'float16' or get_device() != 'cpu'):
            yield Comparison(
                f'mmamp over Fabric, {dtype}',
                of,
                Variant(name, FABRIC, dtype, LAST),
            )
    if can_stock(dtype):
        yield Comparison(
            f'mmamp over stock, {dtype}',
            of,
            Variant(name, STOCK, dtype, LAST),
            None if get_device() == 'cpu' or dtype == 'float32' else 0.9,
        )


def can_by_hand(name: str, dtype: str) -> bool:
    """Tell whether ``torch.amp`` takes bearable time.

    float16 on a CPU without the instructions takes so long that the tiny
    model has to do.
    """
    if dtype == 'float32' or name == 'tiny':
        return True
    return is_native(dtype)


def has_fabric() -> bool:
    """Tell whether Lightning Fabric is installed."""
    return find_spec('lightning') is not None


def can_stock(dtype: str) -> bool:
    """Tell whether MMEngine has the precision here: on a CPU only float32."""
    return dtype == 'float32' or get_device() != 'cpu'


def variants_of(asked: Sequence[Comparison]) -> list[Variant]:
    """List the variants of comparisons, each once, in order."""
    return list(dict.fromkeys(v for c in asked for v in (c.over, c.of)))


def empty_steps(steps: Sequence[int] = STEPS) -> list[Variant]:
    """List empty steps after so many iterations, with mmamp and stock."""
    return [
        Variant(EMPTY, way, filled=n) for way in (MMAMP, STOCK) for n in steps
    ]


def small_epochs() -> list[Variant]:
    """List epochs of :data:`EPOCH` empty steps, with mmamp and stock."""
    return [
        Variant(EMPTY, way, dataset_size=8 * EPOCH) for way in (MMAMP, STOCK)
    ]
