"""Numbers of all generators that have a state of the process."""

import random

import numpy as np
import torch


def draw():
    # An odd number of normal ones: numpy and Python keep the second half.
    return (
        random.gauss(0, 1),
        np.random.randn(3).tolist(),
        torch.randn(3).tolist(),
    )
