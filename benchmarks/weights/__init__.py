"""Converted weights beside the networks that they are of.

``python -m benchmarks.weights FOLDER`` builds the networks of other codebases
with random weights, converts them and compares what both compute; FOLDER has
clones of their repositories.
"""

from .command import main

__all__ = ['main']
