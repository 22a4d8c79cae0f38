"""What is compared: networks of others, and the configs that take them."""

from .beginnings import beginnings
from .biggan import biggan
from .case import COMMITS, Call, Case, Inputs, Network, plainly
from .sagan import sagan
from .stylegan2 import stylegan2
from .super_resolution import super_resolution
from .translation import translation
from .unconditional import unconditional

__all__ = [
    'COMMITS',
    'Call',
    'Case',
    'Inputs',
    'Network',
    'all_cases',
    'beginnings',
    'plainly',
]


def all_cases() -> list[Case]:
    """Return all of them."""
    return [
        *super_resolution(),
        *unconditional(),
        *sagan(),
        *biggan(),
        *translation(),
        *stylegan2(),
    ]
