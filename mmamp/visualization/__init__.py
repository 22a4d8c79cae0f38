"""Pictures."""

from .image_grid import image_grid

__all__ = ['image_grid']
