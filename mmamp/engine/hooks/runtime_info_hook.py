"""What a run says of itself, without its training steps waiting for it."""

from collections import defaultdict
from typing import Any

import torch
from mmengine.hooks import RuntimeInfoHook as MMEngineRuntimeInfoHook
from mmengine.logging import HistoryBuffer
from torch import Tensor

from mmamp.logging.scalar_history import ScalarHistory
from mmamp.registry import HOOKS

from .runner_access import named_wrappers

SHORTEST = 1000
"""Values of a scalar that are kept at least."""


@HOOKS.register_module()
class RuntimeInfoHook(MMEngineRuntimeInfoHook):
    """MMEngine's ``RuntimeInfoHook``, whose price does not grow.

    MMEngine's reads every loss from the device in every iteration, and copies
    each scalar's whole history to add a value to it. With this hook losses
    stay on the device until somebody reads them, such as the logger at its
    interval; a history keeps as many values as the log processor averages
    over, and 1,000 at least, so that checkpoints do not grow either. Of those
    that it keeps, whoever reads them sees the same.

    Examples:
        >>> default_hooks = dict(
        ...     runtime_info=dict(type='mmamp.RuntimeInfoHook'))
    """

    def __init__(self) -> None:
        self._length = SHORTEST
        self._known = 0

    def before_train(self, runner: Any) -> None:
        """Take over what a checkpoint brought."""
        super().before_train(runner)
        self._length = _longest_window(runner)
        self._known = 0
        self._take_over(runner.message_hub.log_scalars)

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Tell the iteration and the rates of optimizers that have one."""
        groups = runner.optim_wrapper.param_groups
        all_groups = groups.values() if isinstance(groups, dict) else [groups]
        for name, wrapper in named_wrappers(runner):
            _tell_members(runner.message_hub, name, wrapper.optimizer)
        if all(map(_have_rate, all_groups)):
            super().before_train_iter(runner, batch_idx, data_batch)
            return
        hub = runner.message_hub
        hub.update_info('iter', runner.iter)
        for name, each in groups.items() if isinstance(groups, dict) else ():
            if _have_rate(each):
                hub.update_scalar(f'train/{name}.lr', each[0]['lr'])

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Keep what the model returned; wait for nothing."""
        scalars = runner.message_hub.log_scalars
        if len(scalars) != self._known:
            self._take_over(scalars)
        first, later = {}, {}
        for key, value in (outputs or {}).items():
            history: Any = scalars.get(f'train/{key}')
            if (
                type(history) is not ScalarHistory
                or not isinstance(value, Tensor)
                or value.numel() != 1
            ):
                first[key] = value
            elif value.is_cpu:
                history.update(value.item())
            else:
                later[key] = value
        for key, value in _copies(later).items():
            scalars[f'train/{key}'].add(value)
        # The first value of each is MMEngine's to check, and to name.
        super().after_train_iter(runner, batch_idx, data_batch, first)

    def _take_over(self, scalars: dict[str, HistoryBuffer]) -> None:
        for key, history in scalars.items():
            if type(history) is HistoryBuffer:
                scalars[key] = ScalarHistory.of(history, self._length)
        self._known = len(scalars)


def _tell_members(hub: Any, name: str, optimizer: Any) -> None:
    """Tell the rates of optimizers that are one; MMEngine knows the first."""
    members = getattr(optimizer, 'members', ())
    kinds = [type(member).__name__ for member in members]
    for number, (kind, member) in enumerate(zip(kinds, members, strict=True)):
        if _have_rate(member.param_groups):
            own = kind if kinds.count(kind) == 1 else f'{kind}{number}'
            place = f'{name}.{own}' if name else own
            rate = member.param_groups[0]['lr']
            hub.update_scalar(f'train/{place}.lr', rate)


def _copies(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """As they are now: a model may go on changing what it returned."""
    kinds: dict[Any, list[str]] = defaultdict(list)
    for key, value in values.items():
        kinds[value.device, value.dtype].append(key)
    copies: dict[str, Tensor] = {}
    for keys in kinds.values():
        stacked = torch.stack([values[k].detach().reshape(()) for k in keys])
        copies.update(zip(keys, stacked.unbind(), strict=True))
    return copies


def _longest_window(runner: Any) -> int:
    """Values that the log processor may ask for."""
    processor = runner.log_processor
    lengths: list[int] = [SHORTEST, processor.window_size]
    for cfg in processor.custom_cfg:
        size = cfg.get('window_size')
        if size == 'epoch':
            lengths.append(len(runner.train_dataloader))
        elif isinstance(size, int):
            lengths.append(size)
        elif cfg.get('method_name') != 'current':
            unbounded: int = HistoryBuffer().max_length  # it asks for all
            return unbounded
    return max(lengths)


def _have_rate(groups: list[dict[str, Any]]) -> bool:
    # Adafactor's may be None: it steps relative to the weights.
    return all(group.get('lr') is not None for group in groups)
