"""What a plan says of memory, beside what torch's profiler measures."""

from .command import main

__all__ = ['main']
