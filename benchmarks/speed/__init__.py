"""What mixed precision, mmamp and MMEngine's Runner cost.

``python tools/benchmark.py`` trains the same models by hand with
``torch.amp``, with mmamp under the Runner, and in the stock MMEngine way, each
in a process of its own. The processes take turns, so that what disturbs the
machine disturbs all of them, and the ratios of their times are printed.
"""

from .command import main

__all__ = ['main']
