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
from mmamp.logging.once import LogOnce
from mmamp.utils.modules import in_eval_mode

DEFAULT_BATCHES = 16
"""As many as BigGAN's authors accumulate."""
DEFAULT_SIZE = 64
"""Of a batch."""
OWN = -1
"""In ``num_batches_tracked`` of an average's norms, where nothing is counted.

Their statistics are the average's own then. An update copies the trained
generator's count over it, and a checkpoint has it.
"""


def mark_of(bound: float | None) -> int:
    """Return what marks statistics that are of truncated noise.

    Args:
        bound (float, optional): Of the noise. None is :data:`OWN`.
    """
    return OWN if bound is None else OWN - 1 - round(bound * 1e6)


def has_batch_norm(network: nn.Module) -> bool:
    """Tell whether a network is evaluated with BatchNorm's statistics."""
    return any(True for _ in _batch_norms(network))


class StandingStatistics:
    """Has an average's statistics estimated before it is evaluated.

    Also where somebody calls the average by itself; a copy of it does the
    same. Statistics that were made by passes in training mode since the last
    update are somebody's own, and kept.

    Args:
        average (nn.Module): The averaged network.
        model (nn.Module): Has ``standing_inputs`` and ``threshold``.
        num (int): Batches.
        size (int): Of each.

    Attributes:
        is_left_alone (bool): Whether there were such passes.
    """

    def __init__(
        self, average: nn.Module, model: Any, num: int, size: int
    ) -> None:
        self._num = num
        self._size = size
        # Weak, so that a copy of the average does not copy the model.
        self._model: Any = weakref.ref(model)
        self.is_left_alone = False
        self._is_busy = False
        self._log_once = LogOnce()
        average.register_forward_pre_hook(self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the model out of a pickled average."""
        return {**vars(self), '_model': None}

    def __deepcopy__(self, memo: dict[int, Any]) -> 'StandingStatistics':
        """Go with a copy of the model, or stay with the model."""
        twin = copy(self)
        model = self._model and self._model()
        twin._model = model and weakref.ref(memo.get(id(model), model))
        memo[id(self)] = twin
        return twin

    def __call__(self, average: nn.Module, args: Any) -> None:
        """Estimate, before a pass in evaluation mode."""
        self.is_left_alone |= average.training
        # What is sharded is evaluated by its model alone.
        if (
            self.is_left_alone
            or self._is_busy
            or isinstance(average, FSDPModule)
        ):
            return
        model = self._model and self._model()
        if model is not None:
            self.estimate(average, model)
        elif any(x >= 0 for x in _marks(average)):
            self._log_once.warn(
                'An average without its model is evaluated with BatchNorm '
                'statistics of the trained generator'
            )

    def estimate(self, average: nn.Module, model: Any) -> None:
        """Estimate, unless the statistics are the average's own.

        Args:
            average (nn.Module): The averaged network, maybe in what averages
                it.
            model (nn.Module): Has ``standing_inputs`` and ``threshold``.
        """
        mark = mark_of(model.threshold)
        if self.is_left_alone or all(x == mark for x in _marks(average)):
            return
        self._is_busy = True
        try:
            estimate(
                average,
                lambda i: model.standing_inputs(i, self._size),
                self._num,
            )
        finally:
            self._is_busy = False
        mark_own(average, model.threshold)


def mark_own(network: nn.Module, bound: float | None = None) -> None:
    """Say that a network's statistics are its own.

    Args:
        network (nn.Module): Changed in place.
        bound (float, optional): Of the noise that they are of. Defaults to
            None: it is not truncated.
    """
    for norm in _batch_norms(network):
        norm.num_batches_tracked.fill_(mark_of(bound))


def _marks(network: nn.Module) -> list[int]:
    return [int(x.num_batches_tracked) for x in _batch_norms(network)]


@torch.no_grad()
def estimate(
    network: nn.Module, inputs: Callable[[int], tuple[Any, ...]], num: int
) -> None:
    """Give a network the statistics that it has on inputs, or leave it.

    BigGAN's "standing statistics" (Brock, Donahue and Simonyan, ICLR 2019,
    appendix B.1): the means of batches' means and variances. Spectral norms
    go on with their power iteration meanwhile, as in the authors' code; all
    else is in evaluation mode and in full precision. No rank waits for
    another.

    Args:
        network (nn.Module): BatchNorm's statistics, and vectors of spectral
            norms, are changed, but where a pass fails.
        inputs (Callable): Of the index of a batch; what to call the network
            with.
        num (int): Batches.
    """
    first = next(network.parameters())
    before = {name: x.clone() for name, x in network.named_buffers()}
    try:
        with (
            _in_passes(network),
            torch.autocast(first.device.type, enabled=False),
        ):
            for i in range(num):
                network(*inputs(i))
    except BaseException:
        for name, buffer in network.named_buffers():
            buffer.copy_(before[name])
        raise


@contextmanager
def _in_passes(network: nn.Module) -> Iterator[None]:
    """Have batches be what statistics are the plain mean of."""
    with in_eval_mode(network), ExitStack() as stack:
        for norm in _batch_norms(network):
            stack.enter_context(_accumulating(norm))
        for module in network.modules():
            if isinstance(module, ParametrizedSpectralNorm):
                module.train()
        yield


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
