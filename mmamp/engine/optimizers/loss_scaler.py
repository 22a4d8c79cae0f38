"""Loss scaling: ``torch.amp.GradScaler`` with bounds, patience, a memory."""

from typing import Any

import torch
from torch.amp import GradScaler
from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

from .scaler_cycle import ScalerCycle
from .scaler_policy import POLICY_ARGS, SCALER_ARGS, check_policy


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

    def at_minimum(self) -> bool | torch.Tensor:
        """Tell whether the scale cannot fall any further; stays on the device.

        Returns:
            bool or Tensor: True where there is no scale, or a static one.
        """
        if not (self._enabled and self.dynamic):
            return True
        if self._scale is None:
            return self._init_scale <= self.min_scale
        return self._scale <= self.min_scale

    def begin_window(self, optimizer: torch.optim.Optimizer) -> None:
        """Tell that gradients are being made with the present scale.

        Args:
            optimizer (Optimizer): Whose.
        """
        self.cycle.open.add(id(optimizer))

    def end_window(self, optimizer: torch.optim.Optimizer) -> None:
        """Tell that an optimizer's window is over; maybe update the scale.

        A scaler of one optimizer is updated each time; one that several share
        once they have all ended a window, and none is inside of one.

        Args:
            optimizer (Optimizer): Stepped, skipped, or without gradients.
        """
        cycle = self.cycle
        cycle.open.discard(id(optimizer))
        if not self._enabled:
            return
        state = self._per_optimizer_states.pop(id(optimizer), None)
        found = list(state['found_inf_per_device'].values()) if state else []
        if not cycle.end(id(optimizer), found):
            return
        if cycle.found:
            # As if one optimizer had met them all.
            device = cycle.found[0].device
            total = torch.stack(
                [f.to(device).reshape(()) for f in cycle.found]
            )
            self._per_optimizer_states[id(optimizer)][
                'found_inf_per_device'
            ] = {device: total.amax()}
            self.update()
        cycle.restart()

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
        found_inf = self._found_inf(scale.device)
        before = scale.clone()
        super().update()
        if self.hysteresis > 1:
            self._hold(scale, before, found_inf)
        # From here on the scale stays where the user wants it.
        scale.clamp_(self.min_scale, self.max_scale)

    def _found_inf(self, device: torch.device) -> torch.Tensor:
        """Tell on the device whether any optimizer met what is not finite."""
        states = self._per_optimizer_states
        found = [
            value.to(device=device, non_blocking=True)
            for state in states.values()
            for value in state['found_inf_per_device'].values()
        ]
        return torch.stack([f.reshape(()) for f in found]).sum() > 0

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
        tracker = state_dict.get('_growth_tracker', 0)
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
