"""Train reference configs in each precision, and write what came of it.

``python tools/results.py CONFIG ...`` trains every config in float32, bfloat16
and float16 with each seed, in processes of their own, then times the
precisions in turn, and writes a table and the last picture into the README of
the config's folder. Runs that are done already are not repeated.
"""

from .command import main

__all__ = ['main']
