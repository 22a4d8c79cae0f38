"""What a machine with a GPU shows, in one command.

``bash tools/dev/gpu_kit.sh run`` goes through its parts in an order that
makes a run that is cut off worth most. Each has a limit of its own, and what
it finds is in a file at once. Nothing here needs more than Python's own
library, but for the parts.
"""

from .command import main

__all__ = ['main']
