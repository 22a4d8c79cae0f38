"""Checkpoints that can be loaded again."""

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmamp.registry import HOOKS

from ..checkpoints import (
    allow_mmengine_globals,
    history_from,
    plain,
    plain_history,
)


@HOOKS.register_module()
class StateHook(Hook):
    """Write checkpoints that ``torch.load(weights_only=True)`` takes.

    MMEngine 0.10.7 pickles objects of its message hub into its checkpoints,
    which torch from 2.6 on refuses to load: ``--resume`` fails. This hook
    saves the message hub as plain numbers and lists, and reads both forms.
    An entry that could not be loaded again is left out, with a warning that
    names it.

    Examples:
        >>> custom_hooks = [dict(type='mmamp.StateHook')]
    """

    # Last before the file is written, first after it was read.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._dropped: set[str] = set()

    def before_run(self, runner: Any) -> None:
        """Allow what stock checkpoints hold."""
        allow_mmengine_globals()

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Make the message hub and the meta information plain."""
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {
            name: plain_history(buffer)
            for name, buffer in hub['log_scalars'].items()
        }
        hub['runtime_info'] = self._plain_dict(
            hub['runtime_info'], "message_hub['runtime_info']"
        )
        hub['resumed_keys'] = dict(hub['resumed_keys'])
        checkpoint['meta'] = self._plain_dict(checkpoint['meta'], 'meta')

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Give MMEngine back the objects that it expects."""
        scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, value in scalars.items():
            scalars[name] = history_from(value)

    def _plain_dict(self, values: dict, where: str) -> dict:
        """The entries that are plain; say which are not, once."""
        result = {}
        for key, value in values.items():
            try:
                result[key] = plain(value)
            except TypeError as error:
                name = f'{where}[{key!r}]'
                if name not in self._dropped:
                    self._dropped.add(name)
                    print_log(
                        f'{name} is left out of checkpoints: it holds a '
                        f'{error}, which could not be loaded again',
                        logger='current',
                        level=logging.WARNING,
                    )
        return result
