"""Train with every optimizer that is installed, and tell what came of it.

``python tools/optimizers.py`` trains a tiny network with each optimizer of
the packages that it finds, in float32, bfloat16 and float16: in windows of
two micro-batches, with clipping, a schedule, a validation, and a window that
is not finite. It does so again from checkpoints, compares bit for bit, and
writes a table. What was tried is kept, so that a run that was cut off goes
on.
"""

import os

# Else importing MMEngine would set CUDA up, and no fork could use it then.
os.environ.setdefault('PYTORCH_NVML_BASED_CUDA_CHECK', '1')

from .command import main

__all__ = ['main']
