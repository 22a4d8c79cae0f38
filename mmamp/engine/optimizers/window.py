"""Accumulation windows: the micro-batches between two steps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.distributed.sharding import local

from .buffer_guard import BufferGuard
from .kernels import laid_out_as


class Window:
    """The accumulation window of an optimizer.

    Opened by the first forward or backward pass after a step, closed by
    ``step`` or ``zero_grad``. Whether it is open, how long it is, at which
    loss scale its gradients are made and what undoes its forward passes is
    known here and nowhere else.

    Args:
        counts (int): Micro-batches in a full window.

    Attributes:
        end (int): Micro-batches in the whole run, which cut the last window
            short; -1 if that is unknown.
        first (int): The micro-batch that it began with, from 0.
        last (int): One past the micro-batch that completes it.
        micro_batches (int): Backward passes in it so far.
        has_gradients (bool): Whether they led to any.
        scale (Tensor, optional): The loss scale of its gradients; None
            without one, and before the first backward pass.
        guard (BufferGuard): What undoes its forward passes.
    """

    def __init__(self, counts: int) -> None:
        self.counts = counts
        self.end = -1
        self.first = self.last = 0
        self.micro_batches = 0
        self.has_gradients = False
        self.scale: Tensor | None = None
        self.guard = BufferGuard()
        # Where the last one ended, or the run began.
        self._begun = 0

    def bounds(self, index: int) -> tuple[int, int]:
        """Return which micro-batches the window has, or the next one will.

        Args:
            index (int): The micro-batch that comes next.

        Returns:
            tuple[int, int]: The first, and one past the last.
        """
        if self.micro_batches:
            return self.first, self.last
        first = index // self.counts * self.counts
        return (
            max(first, self._begun) if self._begun <= index else first,
            self._last(first, index),
        )

    def _last(self, first: int, index: int) -> int:
        last = (first // self.counts + 1) * self.counts
        return self.end if index < self.end < last else last

    def enter(self, index: int, params: Sequence[nn.Parameter]) -> None:
        """Open it, or go on in it to where the run is known to end by now.

        Args:
            index (int): The micro-batch that comes next.
            params (Sequence[nn.Parameter]): The optimizer's: if it turns out
                longer than was thought, gradients so far weigh less.
        """
        if not self.micro_batches:
            self.first, self.last = self.bounds(index)
            return
        before, self.last = self.last, self._last(self.first, index)
        if self.last != before:
            factor = (before - self.first) / (self.last - self.first)
            with torch.no_grad():
                for param in params:
                    if param.grad is not None:
                        param.grad.mul_(factor)

    def add(self, has_gradients: bool) -> None:
        """Count a micro-batch.

        Args:
            has_gradients (bool): Whether any parameter has one now.
        """
        self.micro_batches += 1
        self.has_gradients = has_gradients

    def close(self) -> None:
        """End it: a step was made, or left out."""
        if self.micro_batches:
            self._begun = self.first + self.micro_batches
        self.micro_batches = 0
        self.has_gradients = False
        self.scale = None

    def drop(self) -> None:
        """End it without a step: nobody wants its gradients."""
        self.guard.drop()
        self.close()

    def move_to(self, index: int, end: int) -> None:
        """Begin at another place of a run.

        Args:
            index (int): Micro-batches so far.
            end (int): Micro-batches in the whole run; -1 if unknown.
        """
        self.guard.accept()
        self.close()
        self.first = self.last = self._begun = index
        self.end = end

    # ---- state --------------------------------------------------------------

    def state(
        self, params: Sequence[nn.Parameter], index: int
    ) -> dict[str, Any] | None:
        """Return what the rest of the window needs, if there are gradients.

        Args:
            params (Sequence[nn.Parameter]): The optimizer's, in its order.
            index (int): Micro-batches of the run so far.

        Returns:
            dict or None: Numbers and tensors; the gradients are those that
            training goes on with, as in torch's own states.
        """
        if not self.micro_batches:
            return None
        return dict(
            first=self.first,
            last=self.last,
            inner_count=index,
            accumulative_counts=self.counts,
            micro_batches=self.micro_batches,
            scale=1.0 if self.scale is None else float(self.scale),
            grads=[
                None if p.grad is None else _by_itself(p.grad.detach())
                for p in params
            ],
            buffers=self.guard.state(),
        )

    def load_state(
        self,
        state: dict[str, Any],
        params: Sequence[nn.Parameter],
        scale: Tensor | None,
    ) -> None:
        """Go on inside of a window.

        Args:
            state (dict): From :meth:`state`.
            params (Sequence[nn.Parameter]): The optimizer's, in its order.
            scale (Tensor, optional): The loss scale that this run has; None
                if it needs none.

        Raises:
            ValueError: If the parameters are not those of the checkpoint.
        """
        grads: list[Tensor | None] = state['grads']
        if len(grads) != len(params):
            raise ValueError(
                f'the checkpoint holds gradients of {len(grads)} parameters, '
                f'but the optimizer has {len(params)}'
            )
        was = float(state['scale'])
        factor = 1.0
        if scale is None:
            factor = 1 / was
        elif was == 1:  # of a run without a scale
            factor = float(scale)
        else:
            scale.fill_(was)
        self.close()
        self._begun = state['first']
        self.first, self.last = self.bounds(state['first'])
        self.last = state.get('last', self.last)
        with torch.no_grad():
            for param, grad in zip(params, grads, strict=True):
                param.grad = None
                if grad is None:
                    continue
                self.has_gradients = True
                grad = grad.to(param.device, param.dtype, copy=True)
                param.grad = laid_out_as(grad, param)
                if factor != 1:
                    param.grad.mul_(factor)
        index = state['inner_count']
        self.micro_batches = state.get('micro_batches', index - state['first'])
        self.scale = scale
        self.guard.load_state(state['buffers'])


def _by_itself(grad: Tensor) -> Tensor:
    """Return a gradient apart from what else is in its memory, if anything.

    DDP has gradients in buckets, and whoever saves one saves all its memory.
    """
    part = local(grad)
    if part.layout is not torch.strided:
        return grad
    is_whole = part.untyped_storage().nbytes() == part.nbytes
    return grad if is_whole else grad.clone()
