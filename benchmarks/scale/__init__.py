"""What becomes of a run where there are thousands of ranks."""

from .command import main

__all__ = ['main']
