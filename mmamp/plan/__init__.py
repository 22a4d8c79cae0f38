"""What a run will take on a device that is not there yet, and a page.

``python tools/plan.py CONFIG`` rehearses an update of every network on tensors
without numbers, and says what memory, traffic and time it takes in each dtype
and under each strategy, and what the device's autocast will do.
"""

from .command import main

__all__ = ['main']
