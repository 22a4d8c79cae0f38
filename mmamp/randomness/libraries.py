"""Generators that libraries of transforms have of their own.

imgaug 0.4, which mmocr's and mmpose's ``ImgAug`` transforms use, draws from a
generator of its module, wherever a transform was given none.
"""

import sys
from typing import Any


def seed_libraries(word: int) -> None:
    """Seed those of libraries that have been imported.

    Args:
        word (int): Of 32 bits.
    """
    if _imgaug() is not None:
        # What it takes at most.
        sys.modules['imgaug.random'].seed(word >> 1)


def library_states() -> Any:
    """Return their states, for :func:`set_library_states`.

    Returns:
        dict or None: Of imgaug's; None where nothing draws from it.
    """
    generator = _imgaug()
    return None if generator is None else generator.state


def set_library_states(states: Any) -> None:
    """Put states back.

    Args:
        states (dict or None): From :func:`library_states`.
    """
    if states is not None:
        _imgaug().state = states


def _imgaug() -> Any:
    # Not by its function, which makes one, and draws a seed from numpy.
    return getattr(sys.modules.get('imgaug.random'), 'GLOBAL_RNG', None)
