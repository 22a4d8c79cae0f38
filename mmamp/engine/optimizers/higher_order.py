"""True gradients out of a low-precision graph, fit to be differentiated."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.compat.torch import foreach_norm
from mmamp.precision.autocast import autocast_off
from mmamp.precision.dtypes import at_least_float32

LOWEST, HIGHEST = 2.0**-24, 2.0**14
"""Bounds of both scales; at the upper one 1 is still finite in float16."""


class PenaltyScaler:
    """The two scales that a gradient penalty needs in float16.

    A penalty on ``g = d outputs / d inputs`` goes through the network twice
    more. The backward pass that makes ``g`` starts at 1 and shrinks on its
    way; the pass that differentiates ``g`` starts at ``d penalty / d g``,
    which has the size of ``g`` and the loss scale on top. Each has a range of
    its own, so each gets a scale of its own, and both are taken out again in
    float32 before anybody sees them: the result does not depend on the loss
    scale.

    - ``cotangent``: what the first pass is multiplied by. Adapted after each
      call so that the largest element of the scaled ``g`` is near 1, below a
      bound that an overflow lowers and that comes back later.
    - ``tangent``: the largest element that the second pass starts at. Falls
      when a parameter gradient overflows and comes back later.

    Both are powers of two, change on the device, and are part of the
    wrapper's state.

    Args:
        device (torch.device): Of the gradients.
    """

    _START = (2.0**8, 2.0**-4)
    _BACKOFF = 2.0**-4
    _GROWTH_INTERVAL = 200

    def __init__(self, device: torch.device) -> None:
        self.cotangent = torch.tensor(self._START[0], device=device)
        self.tangent = torch.tensor(self._START[1], device=device)
        self._bound = torch.tensor(HIGHEST, device=device)
        self._good = torch.zeros((), device=device)

    def saw_gradient(self, grads: Sequence[Tensor]) -> None:
        """Adapt ``cotangent`` to the scaled gradients that it led to."""
        largest = _largest(grads)
        wanted = self.cotangent / _power_of_two(largest)
        scale = torch.where(
            torch.isfinite(largest),
            # An all-zero gradient tells nothing.
            torch.where(largest > 0, wanted, self.cotangent),
            self.cotangent * self._BACKOFF,
        )
        self._bound = torch.where(
            torch.isfinite(largest),
            self._bound * 2 ** (1 / self._GROWTH_INTERVAL),
            scale,
        ).clamp(LOWEST, HIGHEST)
        self.cotangent = scale.clamp(LOWEST, HIGHEST).minimum(
            _power_of_two(self._bound)
        )

    def saw_second_order(self, grads: Sequence[Tensor]) -> None:
        """Adapt ``tangent`` to the parameter gradients that it led to."""
        if not grads:
            return
        finite = torch.isfinite(_largest(grads))
        self._good = torch.where(finite, self._good + 1, 0)
        grow = self._good >= self._GROWTH_INTERVAL
        self._good = torch.where(grow, 0, self._good)
        scale = torch.where(finite, self.tangent, self.tangent * self._BACKOFF)
        scale = torch.where(grow, scale * 2, scale)
        self.tangent = scale.clamp(LOWEST, self._START[1])

    def state_dict(self) -> dict[str, float]:
        """Return the scales, as numbers."""
        return dict(
            cotangent=float(self.cotangent),
            tangent=float(self.tangent),
            good=float(self._good),
            bound=float(self._bound),
        )

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on from saved scales."""
        self.cotangent.fill_(state_dict['cotangent'])
        self.tangent.fill_(state_dict['tangent'])
        self._good.fill_(state_dict['good'])
        self._bound.fill_(state_dict['bound'])


def scaled_grad(
    scaler: PenaltyScaler,
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    create_graph: bool = False,
    **kwargs: Any,
) -> tuple[Tensor | None, ...]:
    """``torch.autograd.grad`` whose passes run at scales of their own.

    Args:
        scaler (PenaltyScaler): The scales.
        outputs (Sequence[Tensor]): As in ``torch.autograd.grad``.
        inputs (Sequence[Tensor]): As there.
        create_graph (bool): As there.
        **kwargs: Its other arguments.

    Returns:
        tuple[Tensor or None]: Unscaled gradients, at least float32.
    """
    cotangent = scaler.cotangent
    scaled = torch.autograd.grad(
        [at_least_float32(out) * cotangent for out in outputs],
        inputs,
        create_graph=create_graph,
        **kwargs,
    )
    present = [g for g in scaled if g is not None]
    if not present:
        return scaled
    scaler.saw_gradient([g.detach() for g in present])
    with_graph = [g for g in present if g.requires_grad]
    leaves = _leaves(with_graph)
    if leaves:
        # In a list: autograd shall not see them as inputs of this function.
        unscale: Any = _Unscale.apply
        true = iter(unscale(scaler, cotangent, present, *leaves))
    else:
        true = iter([_unscale(g, cotangent) for g in present])
    return tuple(None if g is None else next(true) for g in scaled)


class _Unscale(torch.autograd.Function):
    """Take the scale out of gradients, and bring its own to their backward.

    The gradients' graph ends in ``leaves`` (parameters, mostly). Backward
    runs through it apart from the surrounding backward pass, whose loss scale
    would be the wrong one there, and hands the surrounding pass what belongs
    to each leaf, at the surrounding pass's scale.
    """

    @staticmethod
    def forward(
        ctx: Any,
        scaler: PenaltyScaler,
        cotangent: Tensor,
        scaled: list[Tensor],
        *leaves: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.scaler, ctx.num = scaler, len(scaled)
        ctx.save_for_backward(cotangent, *scaled, *leaves)
        return tuple(_unscale(g, cotangent) for g in scaled)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        cotangent, *tensors = ctx.saved_tensors
        scaled, leaves = tensors[: ctx.num], tensors[ctx.num :]
        scaler = ctx.scaler

        # Bring the largest element to where float16 has room on both sides.
        largest = _largest(grad_outputs)
        factor = scaler.tangent / _power_of_two(largest)
        factor = torch.where(
            torch.isfinite(largest) & (largest > 0), factor, 1.0
        )
        pairs = [
            (g, (v * factor).to(g.dtype))
            for g, v in zip(scaled, grad_outputs, strict=True)
            if g.requires_grad
        ]
        with autocast_off(cotangent.device.type):
            found = torch.autograd.grad(
                [g for g, _ in pairs],
                leaves,
                [v for _, v in pairs],
                # The surrounding pass goes through shared nodes after us.
                retain_graph=True,
                allow_unused=True,
            )
        scaler.saw_second_order([g for g in found if g is not None])
        scale = factor * cotangent
        unscaled = (None if g is None else g / scale for g in found)
        return (None, None, None, *unscaled)


def _unscale(grad: Tensor, scale: Tensor) -> Tensor:
    dtype = torch.promote_types(grad.dtype, torch.float32)
    return grad.detach().to(dtype) / scale


def _largest(tensors: Sequence[Tensor]) -> Tensor:
    """Return the largest magnitude; nan if there is one."""
    norms = foreach_norm([t.detach() for t in tensors], ord=torch.inf)
    return torch.stack([n.float() for n in norms]).amax()


def _power_of_two(value: Tensor) -> Tensor:
    """Return the power of two below; scaling by it rounds nothing."""
    return torch.exp2(torch.floor(torch.log2(value)))


def _leaves(tensors: Sequence[Tensor]) -> list[nn.Parameter]:
    """Return the leaves that a backward pass would reach."""
    seen = set()
    leaves = []
    stack = [t.grad_fn for t in tensors]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, 'variable'):
            leaves.append(node.variable)
        stack += [following for following, _ in node.next_functions]
    return leaves
