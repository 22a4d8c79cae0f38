"""Accelerators by name, and numbers with units."""

import re
from dataclasses import dataclass

from mmamp.errors import UsageError
from mmamp.utils.suggest import did_you_mean

_UNITS = {
    unit: base ** (power + 1)
    for base, suffix in ((1000, 'B'), (1024, 'iB'))
    for power, unit in enumerate(f'{x}{suffix}' for x in 'KMGT')
}
_SIZE = re.compile(r'(\d+(?:\.\d+)?)\s*([KMGT]i?B)', re.IGNORECASE)
GIB = 2**30


@dataclass(frozen=True)
class Card:
    """One row: an accelerator, as its maker describes it.

    Args:
        name (str): As it is called here.
        memory (int): Bytes.
        bandwidth (float): Bytes a second, of its memory.
        flops (dict[str, float]): Operations a second by dtype, of dense
            matrices that are summed up in float32; a multiply-add is two.
        source (str): Where that is said.
    """

    name: str
    memory: int
    bandwidth: float
    flops: dict[str, float]
    source: str


def _flops(
    full: float, low: float, has_bfloat16: bool = True
) -> dict[str, float]:
    """Return operations a second, of so many trillions."""
    found = dict(float32=full * 1e12, float16=low * 1e12)
    return {**found, 'bfloat16': low * 1e12} if has_bfloat16 else found


_SITE = 'https://www.nvidia.com/'
CARDS = {
    row.name: row
    for row in (
        Card(
            'T4',
            16 * GIB,
            320e9,
            _flops(8.1, 65, has_bfloat16=False),
            f'{_SITE}en-us/data-center/tesla-t4/',
        ),
        Card(
            'V100-32GB',
            32 * GIB,
            900e9,
            _flops(15.7, 125, has_bfloat16=False),
            f'{_SITE}en-us/data-center/v100/',
        ),
        Card(
            'A100-40GB',
            40 * GIB,
            1555e9,
            _flops(19.5, 312),
            f'{_SITE}en-us/data-center/a100/',
        ),
        Card(
            'A100-80GB',
            80 * GIB,
            2039e9,
            _flops(19.5, 312),
            f'{_SITE}en-us/data-center/a100/',
        ),
        Card(
            'L4',
            24 * GIB,
            300e9,
            _flops(30.3, 121),
            f'{_SITE}en-us/data-center/l4/',
        ),
        Card(
            'L40S',
            48 * GIB,
            864e9,
            _flops(91.6, 362),
            f'{_SITE}en-us/data-center/l40s/',
        ),
        Card(
            'H100-80GB',
            80 * GIB,
            3350e9,
            _flops(67, 989),
            f'{_SITE}en-us/data-center/h100/',
        ),
        Card(
            'H200',
            141 * 10**9,
            4800e9,
            _flops(67, 989),
            f'{_SITE}en-us/data-center/h200/',
        ),
    )
}
"""The accelerators that are known, by name."""


def card_named(name: str) -> Card:
    """Return a row of the table.

    Args:
        name (str): Its name, in any case.

    Raises:
        UsageError: If there is none; it lists those that there are.
    """
    found = {x.lower(): row for x, row in CARDS.items()}.get(name.lower())
    if found is None:
        raise UsageError(
            f'--card: {name!r} is not known; there are {", ".join(CARDS)}.'
            f'{did_you_mean(name, CARDS)} Or give --memory, --flops and '
            '--bandwidth'
        )
    return found


def bytes_of(text: str, option: str) -> int:
    """Read a size.

    Args:
        text (str): Such as ``'80GiB'``.
        option (str): Whose it is, for the error.

    Raises:
        UsageError: If it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    units = {x.lower(): size for x, size in _UNITS.items()}
    size = 0
    if match is not None:
        size = int(float(match[1]) * units[match[2].lower()])
    if size <= 0:
        raise UsageError(
            f'{option}: {text!r} is no size > 0: give a number and one of '
            f'{", ".join(_UNITS)}, such as 80GiB'
        )
    return size


def in_words(size: float) -> str:
    """Write bytes as MiB, or GiB where that is many."""
    if abs(size) >= GIB:
        return f'{size / GIB:.2f} GiB'
    return f'{size / 2**20:.1f} MiB'
