"""Loss scaling: ``torch.amp.GradScaler`` with bounds, patience, a memory."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.amp import GradScaler
from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

from .gradients import with_real_gradients
from .loss_scale_config import POLICY_ARGS, SCALER_ARGS, check_policy
from .shared_scaler import ScalerCycle


class LossScaler(GradScaler):
    """``torch.amp.GradScaler`` with bounds and hysteresis.

    Args:
        device (str): Device type of the gradients. Defaults to ``'cuda'``.
        init_scale (float): The first scale. Defaults to 65536.
        growth_factor (float): What the scale is multiplied by when it grows.
            Defaults to 2.
        backoff_factor (float): What it is multiplied by when it drops.
            Defaults to 0.5.
        growth_interval (int): Finite windows in a row before the scale grows.
            Defaults to 2000.
        enabled (bool): False makes every method a no-op. Defaults to True.
        min_scale (float, optional): The scale never falls below. Defaults to
            None: 1, or ``init_scale`` where that is smaller.
        max_scale (float, optional): The scale never grows above. Defaults to
            None: no bound.
        hysteresis (int): How many non-finite windows, since the scale last
            grew, it takes before the scale drops (as in Megatron-LM and
            DeepSpeed). Defaults to 1: at once.
        dynamic (bool): False keeps ``init_scale`` for good. Defaults to True.

    Raises:
        ValueError: If the arguments contradict each other.
    """

    def __init__(
        self,
        device: str = 'cuda',
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
        min_scale: float | None = None,
        max_scale: float | None = None,
        hysteresis: int = 1,
        dynamic: bool = True,
    ) -> None:
        min_scale = min(1.0, init_scale) if min_scale is None else min_scale
        check_policy(
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            min_scale,
            max_scale,
            hysteresis,
        )
        super().__init__(
            device,
            init_scale=float(init_scale),
            growth_factor=growth_factor,
            backoff_factor=backoff_factor,
            growth_interval=growth_interval,
            enabled=enabled,
        )
        self.dynamic = dynamic
        self.min_scale = float(min_scale)
        self.max_scale = None if max_scale is None else float(max_scale)
        self.hysteresis = hysteresis
        self._init_hysteresis_left = hysteresis
        self._hysteresis_left: torch.Tensor | None = None
        self._scales: dict[int, torch.Tensor] = {}
        self.cycle = ScalerCycle()

    def _lazy_init_scale_growth_tracker(self, dev: torch.device) -> None:
        super()._lazy_init_scale_growth_tracker(dev)
        self._hysteresis_left = torch.full(
            (), self._init_hysteresis_left, dtype=torch.int32, device=dev
        )

    def has_settings_of(self, other: 'LossScaler') -> bool:
        """Tell whether another scaler would behave in the same way.

        Args:
            other (LossScaler): The other.

        Returns:
            bool: Whether it has the same class and settings.
        """
        names = [
            *('_enabled', '_device', '_init_scale', '_growth_factor'),
            *('_backoff_factor', '_growth_interval', 'dynamic'),
            *('min_scale', 'max_scale', 'hysteresis'),
        ]
        return type(self) is type(other) and all(
            getattr(self, name, None) == getattr(other, name, None)
            for name in names
        )

    def is_unscaled(self, optimizer: torch.optim.Optimizer) -> bool:
        """Tell whether ``unscale_(optimizer)`` was called since ``update()``.

        Args:
            optimizer (Optimizer): Which.

        Returns:
            bool: True too where there is no scale.
        """
        if not self._enabled:
            return True
        state = self._per_optimizer_states[id(optimizer)]
        return bool(state['stage'].name != 'READY')

    def at_minimum(
        self, optimizer: torch.optim.Optimizer | None = None
    ) -> bool | torch.Tensor:
        """Tell whether the scale cannot fall any further; stays on the device.

        Args:
            optimizer (Optimizer, optional): Whose window's scale is meant,
                while it has one. Defaults to None: the present one.

        Returns:
            bool or Tensor: True where there is no scale, or a static one.
        """
        if not (self._enabled and self.dynamic):
            return True
        scale = self._scales.get(id(optimizer), self._scale)
        if scale is None:
            return self._init_scale <= self.min_scale
        return scale <= self.min_scale

    def scale(self, outputs: Any) -> Any:
        """Scale by hand, as ``torch.amp.GradScaler`` does.

        Args:
            outputs (Tensor or Iterable[Tensor]): Of any shapes.

        Returns:
            Tensor or Iterable[Tensor]: Of the same shapes.
        """
        self.cycle.begin_by_hand()
        scaled = super().scale(outputs)
        if self._scale is not None:
            for member in self.cycle.members:
                self._scales[id(member)] = self._scale.clone()
        return scaled

    def begin_window(
        self, optimizer: torch.optim.Optimizer, device: torch.device
    ) -> torch.Tensor | None:
        """Return the scale for the gradients of a window, to its end.

        Args:
            optimizer (Optimizer): Whose window.
            device (torch.device): Of the loss.

        Returns:
            Tensor or None: A scalar, which no other optimizer's window
            changes; None where there is no scale.
        """
        if not self._enabled:
            return None
        if self._scale is None:
            self._lazy_init_scale_growth_tracker(device)
        assert self._scale is not None  # for the type checker
        scale = self._scale.to(device, copy=True)
        self._scales[id(optimizer)] = scale
        return scale

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the scale of its window out of an optimizer's gradients.

        Args:
            optimizer (Optimizer): Its parameters have their gradients.
        """
        if not self._enabled:
            return
        present = self._scale
        if (scale := self._scales.get(id(optimizer))) is not None:
            self._scale = scale
        try:
            super().unscale_(optimizer)
        finally:
            self._scale = present

    def _unscale_grads_(self, optimizer: Any, *args: Any) -> Any:
        return super()._unscale_grads_(with_real_gradients(optimizer), *args)

    def found_inf(self, optimizer: torch.optim.Optimizer) -> torch.Tensor:
        """Tell on the device what ``unscale_`` has found.

        Args:
            optimizer (Optimizer): Its gradients are unscaled.

        Returns:
            Tensor: A scalar boolean: whether a gradient is not finite.
        """
        return _any_found([self._per_optimizer_states[id(optimizer)]])

    def add_found(
        self, optimizer: torch.optim.Optimizer, found: torch.Tensor
    ) -> None:
        """Tell what ``unscale_`` has made, and not found.

        Args:
            optimizer (Optimizer): Its gradients are unscaled.
            found (Tensor): A scalar boolean: whether a gradient is not finite
                now.
        """
        state = self._per_optimizer_states[id(optimizer)]
        for value in state['found_inf_per_device'].values():
            value.add_(found.to(value))

    def drop_window(self, optimizer: torch.optim.Optimizer) -> None:
        """Tell that an optimizer's gradients were dropped.

        Args:
            optimizer (Optimizer): Its window is over without a step.
        """
        if not self._enabled:
            return
        self.cycle.end_by_hand(optimizer)
        self._scales.pop(id(optimizer), None)
        self._per_optimizer_states.pop(id(optimizer), None)

    def end_window(self, optimizer: torch.optim.Optimizer) -> None:
        """Tell that an optimizer's window is over; adapt the scale.

        Args:
            optimizer (Optimizer): Stepped, skipped, or without gradients.
        """
        if not self._enabled:
            return
        state = self._per_optimizer_states.get(id(optimizer))
        has_found = bool(state and state['found_inf_per_device'])
        if not self.cycle.is_shared:
            if has_found:
                self.update()
        elif has_found or self._scale is not None:
            self._end_shared(optimizer, has_found)
        self.drop_window(optimizer)

    def _end_shared(
        self, optimizer: torch.optim.Optimizer, has_found: bool
    ) -> None:
        scale, tracker = self._check_scale_growth_tracker('update')
        if has_found:
            found = self.found_inf(optimizer).to(scale.device)
            made_at = self._scales.get(id(optimizer), scale).to(scale.device)
            # One that has fallen since its window began says no more of it.
            found &= made_at <= scale
        else:
            found = torch.zeros((), dtype=torch.bool, device=scale.device)
        is_over, any_found = self.cycle.end(optimizer, found)
        before, counted = scale.clone(), tracker.clone()
        left = self._hysteresis_left
        held = None if left is None else left.clone()
        # As if nobody else were in the middle of a step.
        others = dict(self._per_optimizer_states)
        self._per_optimizer_states.clear()
        state = self._per_optimizer_states[id(optimizer)]
        state['found_inf_per_device'] = {scale.device: found.float()}
        self.update()
        self._per_optimizer_states.update(others)
        # It falls at once, and grows by whole cycles.
        changes = found | (~any_found.to(scale.device) & is_over)
        scale.copy_(torch.where(changes, scale, before))
        tracker.copy_(torch.where(changes, tracker, counted))
        if left is not None and held is not None:
            left.copy_(torch.where(changes, left, held))

    def update(self, new_scale: float | torch.Tensor | None = None) -> None:
        """Adapt the scale to the windows since the last call.

        Everything stays on the device: no synchronisation.

        Args:
            new_scale (float or Tensor, optional): Sets the scale by hand, as
                in ``torch.amp.GradScaler.update``. Defaults to None.
        """
        if not self._enabled:
            return
        if new_scale is None and not self.dynamic:
            new_scale = self._init_scale
        if new_scale is not None:
            super().update(new_scale)
            return
        scale, _ = self._check_scale_growth_tracker('update')
        if self.hysteresis > 1:
            states = self._per_optimizer_states.values()
            found_inf = _any_found(states).to(scale.device)
            before = scale.clone()
            super().update()
            self._hold(scale, before, found_inf)
        else:
            super().update()
        # From here on the scale stays where the user wants it.
        scale.clamp_(self.min_scale, self.max_scale)

    def _hold(
        self,
        scale: torch.Tensor,
        before: torch.Tensor,
        found_inf: torch.Tensor,
    ) -> None:
        """Undo a drop of the scale while hysteresis is left."""
        left = self._hysteresis_left
        if left is None:
            raise RuntimeError('update() was called before scale()')
        left.sub_(found_inf.to(left.dtype)).clamp_(min=0)
        scale.copy_(torch.where(found_inf & (left > 0), before, scale))
        left.copy_(
            torch.where(
                scale > before, torch.full_like(left, self.hysteresis), left
            )
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the scaler's state: empty if it is not enabled.

        The keys of ``torch.amp.GradScaler``, so that MMEngine's own wrapper
        can read it, and ``_hysteresis_left`` (int).
        """
        state = super().state_dict()
        if state:
            left = self._hysteresis_left
            state['_hysteresis_left'] = (
                self._init_hysteresis_left
                if left is None
                else int(left.item())
            )
            if self.cycle.is_shared:
                state['_cycle'] = self.cycle.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved scale; the settings stay those of the config.

        Args:
            state_dict (dict): What a scaler's :meth:`state_dict` returned;
                empty (from a disabled one) leaves the initial scale. A static
                scale also stays as the config has it.
        """
        if not (self._enabled and self.dynamic and state_dict):
            return
        scale = min(
            max(state_dict['scale'], self.min_scale),
            self.max_scale or float('inf'),
        )
        # Torch compares for equality: what is past it would never grow.
        tracker = min(
            state_dict.get('_growth_tracker', 0),
            self.get_growth_interval() - 1,
        )
        left = min(
            state_dict.get('_hysteresis_left', self.hysteresis),
            self.hysteresis,
        )
        super().load_state_dict(
            dict(
                scale=scale,
                growth_factor=self.get_growth_factor(),
                backoff_factor=self.get_backoff_factor(),
                growth_interval=self.get_growth_interval(),
                _growth_tracker=tracker,
            )
        )
        self._init_hysteresis_left = left
        if self._hysteresis_left is not None:
            self._hysteresis_left.fill_(left)
        if self.cycle.is_shared and '_cycle' in state_dict:
            self.cycle.load_state_dict(state_dict['_cycle'])


def _any_found(states: Iterable[dict[str, Any]]) -> torch.Tensor:
    """Tell on a device whether any optimizer met what is not finite.

    Args:
        states (Iterable[dict]): As a ``GradScaler`` keeps one an optimizer.
    """
    found = [
        value.reshape(())
        for state in states
        for value in state['found_inf_per_device'].values()
    ]
    device = found[0].device
    moved = [value.to(device, non_blocking=True) for value in found]
    return torch.stack(moved).sum() > 0


class ShardedLossScaler(LossScaler, ShardedGradScaler):
    """:class:`LossScaler` whose overflow check spans all ranks (FSDP1)."""


def build_loss_scaler(
    loss_scale: str | float | dict[str, Any],
    device: str,
    enabled: bool,
    sharded: bool,
) -> LossScaler:
    """Return the scaler that a wrapper's ``loss_scale`` asks for.

    Args:
        loss_scale (str or float or int or dict): ``'dynamic'``; a number for
            a static scale; or arguments of :class:`LossScaler`.
        device (str): Device type of the gradients.
        enabled (bool): Whether the dtype needs a scale at all.
        sharded (bool): Whether FSDP1 shards the gradients.

    Returns:
        LossScaler: Its sharded form where ``sharded``.

    Raises:
        TypeError: If ``loss_scale`` is of another type.
        ValueError: If its value cannot work.
    """
    cls = ShardedLossScaler if sharded else LossScaler
    valid = (
        "'dynamic', a number > 0 (static), or a dict of "
        f'{", ".join(SCALER_ARGS + POLICY_ARGS)}'
    )
    if isinstance(loss_scale, dict):
        unknown = set(loss_scale) - set(SCALER_ARGS + POLICY_ARGS)
        if unknown:
            raise ValueError(
                f'loss_scale={loss_scale!r} has unknown keys '
                f'{sorted(unknown)}: give {valid}'
            )
        args = dict(loss_scale)
        enabled = args.pop('enabled', True) and enabled
        return cls(device, enabled=enabled, **args)
    if isinstance(loss_scale, str):
        if loss_scale != 'dynamic':
            raise ValueError(f'loss_scale={loss_scale!r}: give {valid}')
        return cls(device, enabled=enabled)
    if isinstance(loss_scale, bool) or not isinstance(
        loss_scale, (int, float)
    ):
        raise TypeError(
            f'loss_scale={loss_scale!r} is of type '
            f'{type(loss_scale).__name__}: give {valid}'
        )
    if not 0 < loss_scale < float('inf'):
        raise ValueError(f'loss_scale={loss_scale!r}: give {valid}')
    return cls(
        device,
        init_scale=loss_scale,
        min_scale=loss_scale,
        enabled=enabled,
        dynamic=False,
    )
