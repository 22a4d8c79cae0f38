from .blobs import Blobs, Jitter

__all__ = ['Blobs', 'Jitter']
