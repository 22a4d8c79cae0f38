"""BatchNorm statistics of averaged weights, from passes of their own."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmamp.compat.torch import (
    BatchNorm,
    FSDPModule,
    ParametrizedSpectralNorm,
)
from mmamp.utils.checks import check_int

DEFAULT_BATCHES = 16
"""As many as BigGAN's authors accumulate."""
BATCH_SIZE = 64


def standing_batches(ema_config: dict[str, Any], possible: bool) -> int:
    """Take from a config how many batches statistics are estimated on.

    Args:
        ema_config (dict): ``standing_batches`` is taken out of it.
        possible (bool): Whether the model has inputs for its generator.

    Returns:
        int: 0 if they are not.

    Raises:
        ValueError: If it is no int from 0 on, or is given where statistics
            are averaged or the model has no such inputs.
    """
    averaged = ema_config.get('update_buffers', False)
    default = DEFAULT_BATCHES if possible and not averaged else 0
    num = check_int(
        'standing_batches', ema_config.pop('standing_batches', default), low=0
    )
    if num and averaged:
        raise ValueError(
            f'standing_batches={num} and update_buffers=True: BatchNorm '
            'statistics are either estimated or averaged; leave one out'
        )
    if num and not possible:
        raise ValueError(
            f'standing_batches={num}: only a model that makes images of '
            'latents can estimate BatchNorm statistics; leave it out, or '
            'give update_buffers=True, which averages them'
        )
    return num


def has_batch_norm(network: nn.Module) -> bool:
    """Tell whether a network is evaluated with BatchNorm's statistics."""
    return any(True for _ in _batch_norms(network))


class StandingStatistics:
    """Has an average's statistics estimated before it is evaluated.

    Also where somebody calls the average by itself; a copy of it does the
    same.

    Args:
        average (nn.Module): The averaged network.
        model (nn.Module): Has ``standing_inputs``.
        num (int): Batches.

    Attributes:
        is_due (bool): Whether its weights have changed since.
    """

    def __init__(self, average: nn.Module, model: Any, num: int) -> None:
        self.is_due = True
        self._num = num
        # Weak, so that a copy of the average does not copy the model.
        self._model: Any = weakref.ref(model)
        average.register_forward_pre_hook(self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the model out of a pickled average."""
        return {**vars(self), '_model': None}

    def __deepcopy__(self, memo: dict[int, Any]) -> 'StandingStatistics':
        """Stay with the model."""
        twin = copy(self)
        twin._model = self._model
        memo[id(self)] = twin
        return twin

    def __call__(self, average: nn.Module, args: Any) -> None:
        """Estimate, before a pass in evaluation mode."""
        # What is sharded is evaluated by its model alone.
        if average.training or isinstance(average, FSDPModule):
            return
        model = self._model and self._model()
        if model is not None:
            self.estimate(average, model)

    def estimate(self, average: nn.Module, model: Any) -> None:
        """Estimate, if it is due.

        Args:
            average (nn.Module): The averaged network.
            model (nn.Module): Has ``standing_inputs``.
        """
        if self.is_due:
            self.is_due = False
            estimate(average, model.standing_inputs, self._num)


@torch.no_grad()
def estimate(
    network: nn.Module, inputs: Callable[[int], tuple[Any, ...]], num: int
) -> None:
    """Give a network the statistics that it has on inputs.

    BigGAN's "standing statistics" (Brock, Donahue and Simonyan, ICLR 2019,
    appendix B.1): the means of batches' means and variances. Spectral norms
    go on with their power iteration meanwhile, as in the authors' code; all
    else is in evaluation mode and in full precision. No rank waits for
    another.

    Args:
        network (nn.Module): BatchNorm's statistics, and vectors of spectral
            norms, are changed.
        inputs (Callable): Of the index of a batch; what to call the network
            with.
        num (int): Batches.
    """
    first = next(network.parameters())
    with (
        _in_passes(network),
        torch.autocast(first.device.type, enabled=False),
    ):
        for i in range(num):
            network(*inputs(i))


@contextmanager
def _in_passes(network: nn.Module) -> Iterator[None]:
    """Have batches be what statistics are the plain mean of."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    with ExitStack() as stack:
        for norm in _batch_norms(network):
            stack.enter_context(_accumulating(norm))
        for module in network.modules():
            if isinstance(module, ParametrizedSpectralNorm):
                module.train()
        try:
            yield
        finally:
            for module, was_training in modes:
                module.training = was_training


@contextmanager
def _accumulating(norm: Any) -> Iterator[None]:
    momentum = norm.momentum
    norm.reset_running_stats()
    norm.train()
    # None is the mean of all batches.
    norm.momentum = None
    own = vars(norm)
    kept = {k: v for k, v in own.items() if k == 'forward'}
    if isinstance(norm, nn.SyncBatchNorm):
        own['forward'] = _alone(norm)
    try:
        yield
    finally:
        norm.momentum = momentum
        own.pop('forward', None)
        # What PrecisionHook has made of it.
        own.update(kept)


def _alone(norm: nn.SyncBatchNorm) -> Callable[[Tensor], Tensor]:
    """Return what a SyncBatchNorm does in one process."""

    def forward(x: Tensor) -> Tensor:
        tracked: Any = norm.num_batches_tracked
        tracked.add_(1)
        return F.batch_norm(
            x,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            training=True,
            momentum=1 / float(tracked),
            eps=norm.eps,
        )

    return forward


def _batch_norms(network: nn.Module) -> Iterator[Any]:
    for module in network.modules():
        if isinstance(module, BatchNorm) and module.running_mean is not None:
            yield module
