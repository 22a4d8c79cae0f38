"""What an update takes at least, in seconds."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Speed:
    """How fast a device is, as far as that is known.

    Args:
        flops (dict[str, float]): Operations a second, by dtype; a
            multiply-add is two.
        bandwidth (float, optional): Bytes a second, of its memory.
        link (float, optional): Bytes a second, to other devices.
    """

    flops: dict[str, float]
    bandwidth: float | None
    link: float | None

    def state(self) -> dict[str, Any]:
        """Return it for ``plan.json``."""
        return dict(flops=self.flops, bandwidth=self.bandwidth, link=self.link)


def add_bounds(rows: list[dict[str, Any]], speed: Speed) -> None:
    """Say of rows what an update takes at least, where that is known.

    Args:
        rows (list[dict]): Of the plan; changed in place: ``seconds`` has
            ``arithmetic``, ``memory`` and ``link``, each None if it is not
            known, and ``at_least``, the longest of these.
        speed (Speed): Of the device.
    """
    for row in rows:
        if row['failed']:
            continue
        found = dict(
            arithmetic=_arithmetic(row, speed),
            memory=_over(
                sum(x['bytes'] for x in row['moved']), speed.bandwidth
            ),
            link=_over(
                row['traffic'][0]['sent'] if row['traffic'] else 0, speed.link
            ),
        )
        known = [x for x in found.values() if x is not None]
        row['seconds'] = dict(found, at_least=max(known, default=None))


def _arithmetic(row: dict[str, Any], speed: Speed) -> float | None:
    """Return what the multiply-adds take; None where a dtype has no peak."""
    peaks = [speed.flops.get(x['dtype']) for x in row['compute']]
    if not speed.flops or None in peaks:
        return None
    seconds: float = sum(
        2 * x['multiply_adds'] / (peak or 1)
        for x, peak in zip(row['compute'], peaks, strict=True)
    )
    return seconds


def _over(size: float, rate: float | None) -> float | None:
    return None if rate is None else size / rate
