"""Pictures."""

from .image_grid import image_grid
from .panels import panels_image

__all__ = ['image_grid', 'panels_image']
