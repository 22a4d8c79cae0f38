"""Seeds as a function of where the run is."""

import random
import struct
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch

from .libraries import seed_libraries


def seed_at(position: Sequence[int]) -> None:
    """Seed the generators of this process by a position.

    Args:
        position (Sequence[int]): Non-negative integers, such as the run's
            seed and the place of a sample in it.
    """
    words = struct.unpack('<IIQ', _digest(position))
    random.seed(words[0])
    np.random.seed(words[1])
    seed_libraries(words[1])
    # Not torch.manual_seed, which would reseed every accelerator too.
    torch.default_generator.manual_seed(words[2])


def word_at(position: Sequence[int]) -> int:
    """Return a number of 64 bits that a position has, and no other.

    Args:
        position (Sequence[int]): Non-negative integers, such as the run's
            seed and the index of an update.
    """
    return int.from_bytes(_digest(position)[:8], 'little')


def _digest(position: Sequence[int]) -> bytes:
    """Digest a position in 16 bytes.

    numpy's SeedSequence takes ten times as long.
    """
    text = ','.join(map(str, position)).encode()
    return blake2b(text, digest_size=16).digest()
