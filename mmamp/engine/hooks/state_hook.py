"""Checkpoints that can be loaded again."""

import logging
from typing import Any

from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmamp.randomness import rng_state, set_rng_state
from mmamp.registry import HOOKS

from ..checkpoints import (
    allow_mmengine_globals,
    history_from,
    plain,
    plain_history,
)
from ..data_position import skip_seen
from .runner_access import named_wrappers


@HOOKS.register_module()
class StateHook(Hook):
    """Write checkpoints that load safely, and resume from them exactly.

    MMEngine 0.10.7 pickles objects of its message hub into its checkpoints,
    which torch from 2.6 on refuses to load: ``--resume`` fails. This hook
    saves the message hub as plain numbers and lists, and reads both forms.
    An entry that could not be loaded again is left out, with a warning that
    names it.

    It also saves the states of the random-number generators and puts them
    back where the resumed run goes on, and keeps validation from moving
    them. With :class:`~mmamp.datasets.seeded.SeededDataset` the data goes on
    where it was.

    Examples:
        >>> custom_hooks = [dict(type='mmamp.StateHook')]
    """

    # Last before the file is written, first after it was read.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._resumed_rng: dict[str, Any] | None = None
        self._rng_before_val: dict[str, Any] | None = None
        self._data_is_placed = False

    def before_run(self, runner: Any) -> None:
        """Allow what stock checkpoints hold."""
        allow_mmengine_globals()

    def before_train(self, runner: Any) -> None:
        """Place an iteration-based loop in its data."""
        if hasattr(runner.train_loop, 'dataloader_iterator'):
            self._place_data(runner)

    def before_train_epoch(self, runner: Any) -> None:
        """Place an epoch-based loop in its data, which it reads from here."""
        if not hasattr(runner.train_loop, 'dataloader_iterator'):
            self._place_data(runner)
            self._restore_rng()

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Put the generators back after MMEngine has advanced the data."""
        self._restore_rng()

    def before_val(self, runner: Any) -> None:
        """Training shall not depend on when validation runs."""
        self._rng_before_val = rng_state()

    def after_val(self, runner: Any) -> None:
        """See above."""
        if self._rng_before_val is not None:
            set_rng_state(self._rng_before_val)
            self._rng_before_val = None

    def _place_data(self, runner: Any) -> None:
        if not self._data_is_placed and runner.iter > 0:
            skip_seen(runner.train_loop)
        self._data_is_placed = True

    def _restore_rng(self) -> None:
        if self._resumed_rng is not None:
            set_rng_state(self._resumed_rng)
            self._resumed_rng = None

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
        if get_world_size() == 1 and 'rng_states' not in checkpoint:
            checkpoint['rng_states'] = [rng_state()]
        self._warn_of_open_windows(runner)

    def _warn_of_open_windows(self, runner: Any) -> None:
        """MMEngine's own wrapper cannot be stopped inside of a window."""
        for name, wrapper in named_wrappers(runner):
            counts = wrapper._accumulative_counts
            if hasattr(wrapper, 'window_state') or not (
                wrapper.inner_count % counts
            ):
                continue
            self._warn_once(
                f'{name or "optim_wrapper"} ({type(wrapper).__name__}): this '
                'checkpoint is taken inside of a window of '
                f'{counts} micro-batches, whose '
                'gradients it does not hold. Choose a checkpoint interval '
                f"that is a multiple of {counts}, or type='mmamp."
                "AmpOptimWrapper' (dtype='float32' for full precision)"
            )

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Give MMEngine back the objects that it expects."""
        scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, value in scalars.items():
            scalars[name] = history_from(value)
        if runner._resume:
            self._take_rng(checkpoint.pop('rng_states', None))

    def _take_rng(self, states: list[dict[str, Any]] | None) -> None:
        if states is None or len(states) != get_world_size():
            found = 'none' if states is None else f'those of {len(states)}'
            self._warn_once(
                f'the checkpoint holds no random-number states of '
                f'{get_world_size()} processes ({found}): the run goes on, '
                'but not bit for bit as if it had not stopped'
            )
            return
        self._resumed_rng = states[get_rank()]

    def _warn_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            print_log(text, logger='current', level=logging.WARNING)

    def _plain_dict(self, values: dict, where: str) -> dict:
        """The entries that are plain; say which are not, once."""
        result = {}
        for key, value in values.items():
            try:
                result[key] = plain(value)
            except TypeError as error:
                self._warn_once(
                    f'{where}[{key!r}] is left out of checkpoints: it holds '
                    f'a {error}, which could not be loaded again'
                )
        return result
