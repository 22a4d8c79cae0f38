"""SplitMix64, on a device.

Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
OOPSLA 2014.
"""

from torch import Tensor


def signed(word: int) -> int:
    """Read the 64 bits of a number as torch does, with a sign."""
    return (word + 2**63) % 2**64 - 2**63


STEP = signed(0x9E3779B97F4A7C15)
"""From one state of a sequence to the next."""


def mixed(bits: Tensor) -> Tensor:
    """Make numbers of states; torch's integers have no sign to shift in.

    Args:
        bits (Tensor): int64.
    """
    bits = bits ^ ((bits >> 30) & (2**34 - 1))
    bits *= signed(0xBF58476D1CE4E5B9)
    bits ^= (bits >> 27) & (2**37 - 1)
    bits *= signed(0x94D049BB133111EB)
    bits ^= (bits >> 31) & (2**33 - 1)
    return bits


def fractions(bits: Tensor) -> Tensor:
    """Make float32 numbers in [0, 1) of 32 random bits each."""
    return (bits >> 8).float().mul_(2.0**-24).add_(0.5)
