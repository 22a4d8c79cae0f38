"""The step itself: unscaled, judged, clipped, made or left out."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from mmamp.distributed.sharding import total_norm

from .gradients import (
    EXACT_ON_DEVICE,
    all_finite,
    exact_norm,
    gradients_of,
    norm_on_device,
)
from .kernels import step_on_device
from .loss_scaler import LossScaler
from .motion import Motion
from .step_errors import naming_step
from .usage import Usage


class GradientStep:
    """Steps an optimizer unless a gradient is not finite.

    Finite is what every element is, whatever the norm of them all; with a
    loss scale, before and after it is taken out.

    Args:
        optimizer (Optimizer): The optimizer.
        is_sharded (bool): Whether FSDP2 shards its parameters.
        use_fsdp (bool): Whether FSDP1 does.
        usage (Usage): Knows its name.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        is_sharded: bool,
        use_fsdp: bool,
        usage: Usage,
    ) -> None:
        self.optimizer = optimizer
        self.is_sharded = is_sharded
        self.use_fsdp = use_fsdp
        self._usage = usage
        self._motion = Motion(usage)

    def run(
        self,
        params: list[nn.Parameter],
        scaler: LossScaler | None,
        norm_type: float,
        on_device: bool,
        must_be_finite: bool,
        clip: Callable[[Tensor], None],
        kwargs: dict[str, Any],
        evaluating: Callable[..., bool] | None = None,
    ) -> tuple[Tensor, bool | Tensor]:
        """Make the step, or leave it out.

        Args:
            params (list[Parameter]): With gradients, at the loss scale.
            scaler (LossScaler, optional): Takes it out of them; None if there
                is no scale in them.
            norm_type (float): Which norm is clipped, or told.
            on_device (bool): Whether the optimizer's kernels may decide.
            must_be_finite (bool): Whether others end the run.
            clip (Callable): Clips the gradients, given their norm.
            kwargs (dict): Of ``optimizer.step``.
            evaluating (Callable, optional): Makes the step where it computes
                the loss again, and tells whether it was made. Defaults to
                None.

        Returns:
            tuple[Tensor, bool or Tensor]: The norm before clipping, and
            whether all was finite; a tensor where only the device knows.

        Raises:
            RuntimeError: If something is not finite that must be;
                ``OptimizerError`` if the optimizer's own code fails.
        """
        if scaler is not None and not scaler.is_enabled():
            scaler = None
        if scaler is not None and not scaler.is_unscaled(self.optimizer):
            scaler.unscale_(self.optimizer)
        grads = gradients_of(params)
        if on_device and norm_type in EXACT_ON_DEVICE and not must_be_finite:
            norm, finite = norm_on_device(grads, norm_type)
            if scaler is not None:
                # Below 1 it is taken out by a multiplication.
                scaler.add_found(self.optimizer, ~finite)
                finite = ~scaler.found_inf(self.optimizer)
            finite = self._on_all_ranks(finite)
            clip(norm)
            with naming_step(self.optimizer, self._usage.who):
                step_on_device(self.optimizer, finite, kwargs)
            return norm, finite
        norm, is_finite = self.decide(grads, scaler, norm_type)
        if must_be_finite and not is_finite:
            raise RuntimeError(
                f'the norm of the gradients is {float(norm)} '
                '(clip_grad: error_if_nonfinite=True)'
            )
        clip(norm)
        if is_finite and evaluating is not None:
            is_finite = evaluating(**kwargs)
        elif is_finite:
            self._motion.before(self.optimizer)
            with naming_step(self.optimizer, self._usage.who):
                self.optimizer.step(**kwargs)
            self._motion.after(self.optimizer)
        return norm, is_finite

    def decide(
        self,
        grads: list[Tensor],
        scaler: LossScaler | None,
        norm_type: float,
    ) -> tuple[Tensor, bool]:
        """Decide here: the one synchronisation that the decision needs.

        Args:
            grads (list[Tensor]): Unscaled.
            scaler (LossScaler, optional): That has unscaled them, if one has.
            norm_type (float): Of the norm.

        Returns:
            tuple[Tensor, bool]: The norm, and whether all is finite.
        """
        norm = total_norm(grads, norm_type)
        has_norm = torch.isfinite(norm)
        # Of shards each rank's scaler has seen its own alone.
        if self.is_sharded:
            scaler = None
        finite = has_norm
        if scaler is not None:
            finite = ~scaler.found_inf(self.optimizer)
        flags = torch.stack([finite.to(norm.device), has_norm])
        both = self._on_all_ranks(flags).int()
        code = int(2 * both[0] + both[1])
        is_finite = code >= 2
        if code != 3:
            # The norm of finite gradients may overflow; so may gradients that
            # a scale below 1 is taken out of.
            if scaler is None or is_finite:
                is_finite = bool(self._on_all_ranks(all_finite(grads)))
            if scaler is not None:
                scaler.add_found(self.optimizer, torch.tensor(not is_finite))
            if is_finite:
                norm = exact_norm(grads, norm_type)
        return norm, is_finite

    def _on_all_ranks(self, finite: Tensor) -> Tensor:
        """Tell on the device whether it holds on every rank."""
        if self.use_fsdp and distributed.is_initialized():
            # Each rank has seen its own shards alone.
            flag = finite.to(torch.int32)
            distributed.all_reduce(flag, distributed.ReduceOp.MIN)
            finite = flag.bool()
        return finite
