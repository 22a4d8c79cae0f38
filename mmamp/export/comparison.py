"""Whether a file does what the model does."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mmamp.errors import UsageError

from .inputs import Inputs, Result, Runner

BOUND = 1e-3
"""How much results may differ, as a part of the largest value, or of 1.

Sums of float32 in another order differ by 1e-7 to 1e-5 over the families, and
by 7e-5 where instance norm has but a few pixels (CycleGAN for 256x256 on
16x16); an operator, a statistic or a size that is another, by more than 1e-2.
In [-1, 1] a grey level is 8e-3: the bound is an eighth of it.
"""


class DifferenceError(RuntimeError):
    """A file does not do what the model does."""


@torch.no_grad()
def results_of(run: Runner, inputs: Inputs, user: str) -> list[Result]:
    """Return what a model makes of the inputs that files are checked with.

    Args:
        run (Callable): The network, in evaluation mode.
        inputs (Inputs): What it is called with.
        user (str): What the network is called.

    Raises:
        UsageError: If it makes other images of the same inputs each time, or
            such as are not finite.
    """
    found = [Result(x, run(*x).float()) for x in inputs.checked()]
    if not all(x.images.isfinite().all() for x in found):
        raise UsageError(
            f'{user} gives images that are not finite: its weights, or '
            'statistics, are those of a run that has failed'
        )
    if max(_differences(run, found[:1])) > BOUND:
        raise UsageError(
            f'{user} gives other images each time it is evaluated, so that '
            'nobody could tell whether a file of it is right: switch off '
            'what draws numbers, such as dropout'
        )
    return found


@torch.no_grad()
def largest_difference(run: Runner, wanted: list[Result]) -> float:
    """Return the largest difference of a file's results.

    Args:
        run (Callable): The file.
        wanted (list[Result]): The model's.

    Returns:
        float: As a part of the largest value, or of 1.

    Raises:
        DifferenceError: If it is beyond :data:`BOUND`, or no number.
    """
    found = max(_differences(run, wanted))
    if not found <= BOUND:
        raise DifferenceError(
            f'its results differ from those of the model by {found:.1e} of '
            f'the largest value, more than {BOUND:.0e}, which is what sums in '
            'another order account for'
        )
    return found


def _differences(run: Runner, wanted: list[Result]) -> Iterator[float]:
    for inputs, images in wanted:
        shape = tuple(images.shape)
        try:
            result = run(*inputs)
        except Exception as error:
            # The last line, after where in the graph it was.
            (*_, text) = ['', *str(error).strip().splitlines()]
            raise DifferenceError(
                f'it cannot be run on {_shapes(inputs)}: {text}'
            ) from error
        if tuple(result.shape) != shape:
            raise DifferenceError(
                f'on {_shapes(inputs)} it gives images of shape '
                f'{tuple(result.shape)}, the model {shape}'
            )
        largest = max(images.abs().max().item(), 1.0)
        difference = (result - images).abs().max().item() / largest
        # NaN is less than nothing, but no maximum.
        yield difference if difference == difference else float('inf')


def _shapes(inputs: tuple[Tensor, ...]) -> str:
    return ' and '.join(str(tuple(x.shape)) for x in inputs)
