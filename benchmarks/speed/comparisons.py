"""Which ratios are asked for, and what is aimed at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from mmengine.device import get_device

from mmamp.precision.devices import has_native

from .models import EMPTY, MODELS_BY_NAME
from .variants import BY_HAND, MMAMP, STOCK, Variant

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
        quantity (str): ``'time'``, ``'memory'`` or ``'training memory'``,
            which is what the peak is above that before the first iteration.
            Defaults to time.
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


def comparisons(
    name: str, dtypes: Sequence[str], peers: Sequence[str] = ()
) -> list[Comparison]:
    """List the ratios of one model.

    Args:
        name (str): Of the model.
        dtypes (Sequence[str]): float32 and what else is asked for.
        peers (Sequence[str]): Other packages to compare with. Defaults to
            none.
    """
    return list(_comparisons(name, dtypes, peers))


def _comparisons(
    name: str, dtypes: Sequence[str], peers: Sequence[str]
) -> Iterator[Comparison]:
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
        for peer in peers if can_peer(name, dtype) else ():
            yield from _peer(name, of, peer)


def _ways(name: str, of: Variant) -> Iterator[Comparison]:
    """Yield mmamp under the Runner over the other ways, in one precision."""
    dtype = of.dtype
    if can_by_hand(name, dtype):
        by_hand = Variant(name, BY_HAND, dtype, LAST)
        yield Comparison(
            f'mmamp over by hand, {dtype}',
            *(of, by_hand, MODELS_BY_NAME[name].overhead),
        )
        yield Comparison(
            f'memory of training: mmamp over by hand, {dtype}',
            *(of, by_hand),
            quantity='training memory',
        )
    if can_stock(dtype):
        yield Comparison(
            f'mmamp over stock, {dtype}',
            of,
            Variant(name, STOCK, dtype, LAST),
            None if get_device() == 'cpu' or dtype == 'float32' else 0.9,
        )


def _peer(name: str, of: Variant, peer: str) -> Iterator[Comparison]:
    """Yield mmamp over another package, in one precision."""
    over = Variant(name, peer, of.dtype, LAST)
    for prefix, quantity in (
        ('', 'time'),
        ('memory of training: ', 'training memory'),
    ):
        yield Comparison(
            f'{prefix}mmamp over {peer}, {of.dtype}',
            *(of, over, MODELS_BY_NAME[name].over_peers, quantity),
        )


def can_peer(name: str, dtype: str) -> bool:
    """Tell whether peers have the precision here, in bearable time.

    On a CPU neither has float16: Fabric takes bfloat16 instead, Accelerate
    float32.
    """
    if dtype == 'float16' and get_device() == 'cpu':
        return False
    return can_by_hand(name, dtype)


def can_by_hand(name: str, dtype: str) -> bool:
    """Tell whether ``torch.amp`` takes bearable time.

    float16 on a CPU without the instructions takes so long that the tiny
    model has to do.
    """
    if dtype == 'float32' or name == 'tiny':
        return True
    return is_native(dtype)


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
