"""Generators as files that run without mmamp.

``python tools/export.py CONFIG CHECKPOINT --format onnx`` takes a model's
average, with its statistics, bakes what computes weights, writes it with what
one has to know of it, loads it again and compares.
"""

from .command import main
from .metadata import read_metadata
from .network import baked

__all__ = ['baked', 'main', 'read_metadata']
