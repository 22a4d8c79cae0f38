"""Checkpoints that can be loaded again."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmamp.checkpoint.keys import (
    DATA_POSITION,
    OPTIMIZER_BY_RANK,
    RNG_STATES,
    WINDOW,
)
from mmamp.checkpoint.primitives import (
    history_from,
    history_to_primitives,
    to_primitives,
    without_wrapper,
)
from mmamp.checkpoint.safe_load import allow_mmengine_globals
from mmamp.compat.mmengine import accumulative_counts, is_resuming
from mmamp.engine.loops.data_position import DataPosition
from mmamp.engine.loops.equal_parts import check_equal_parts
from mmamp.logging.once import LogOnce
from mmamp.randomness.state import part_ranks, rng_state, set_rng_state
from mmamp.registry import HOOKS
from mmamp.utils.protocols import Iterates, RankState

from .checkpoint_fit import (
    check_resumed,
    tell_other_settings,
    tell_what_is_not_loaded,
)
from .foreign_draws import part_hooks
from .runner_access import named_wrappers, training_rng_state
from .settled_model import judge_checkpoint, settled_model, unify_models


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
    them; nor do other people's hooks, which draw numbers of their own. Before
    each validation all ranks get one set of buffers: the mean of BatchNorm's
    running statistics, as a checkpoint has them. Where training begins it
    seeds each rank but the first anew: else all of them would drop out the
    same units. With :class:`~mmamp.datasets.seeded.SeededDataset` the data
    goes on where it was.

    Examples:
        >>> custom_hooks = [dict(type='mmamp.StateHook')]
    """

    # Last before the file is written, first after it was read.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._warn_once = LogOnce().warn
        self._resumed_rng: dict[str, Any] | None = None
        self._draws_anew = False
        self.rng_before_val: dict[str, Any] | None = None
        self.rng_outside: Callable[[], dict[str, Any]] | None = None
        self._settled = ExitStack()
        self._position = DataPosition()
        # A FlexibleRunner loads before it calls `before_run`.
        allow_mmengine_globals()

    def before_train(self, runner: Any) -> None:
        """Part the ranks; place an iteration-based loop in its data."""
        # Of a validation that was broken off: what it hid stays undone.
        self._settled.pop_all()
        check_equal_parts(runner)
        # MMEngine has seeded all alike, so that the model is the same.
        part_ranks(get_rank(), runner.iter if self._draws_anew else 0)
        if get_world_size() > 1:
            print_log(
                f'Each of {get_world_size()} ranks draws random numbers of '
                'its own from here on, such as those of dropout',
                logger='current',
            )
        if hooks := part_hooks(runner, self):
            print_log(
                f'What {", ".join(hooks)} draw in training are random numbers '
                'of their own, so that training does not depend on them',
                logger='current',
            )
        if isinstance(runner.train_loop, Iterates):
            # Another epoch of a sampler that ends draws random numbers.
            self._position.begin(runner.train_loop, self._restore_rng)

    def before_train_epoch(self, runner: Any) -> None:
        """Place an epoch-based loop in its data, which it reads from here."""
        if isinstance(runner.train_loop, Iterates):
            return
        if not self._position.begin(runner.train_loop, self._restore_rng):
            # Before the loader draws a seed for this epoch. A checkpoint of
            # the middle of an epoch was taken after that.
            self._restore_rng()

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Put the generators back after MMEngine has advanced the data."""
        self._restore_rng()

    def before_val(self, runner: Any) -> None:
        """Part validation from training.

        Training shall not depend on when it runs, nor it on an accumulation
        window that has only begun.
        """
        self.rng_before_val = rng_state()
        self._settled.enter_context(settled_model(runner))
        # What is scored is what a checkpoint of this moment has.
        unify_models(runner)

    def after_val(self, runner: Any) -> None:
        """Go on with training where it was."""
        self._settled.close()
        if self.rng_before_val is not None:
            set_rng_state(self.rng_before_val)
            self.rng_before_val = None

    def before_test(self, runner: Any) -> None:
        """Test what would be saved, where training has come before."""
        self._settled.enter_context(settled_model(runner))
        unify_models(runner)

    def after_test(self, runner: Any) -> None:
        """Let the model be as it was."""
        self._settled.close()

    def _restore_rng(self) -> None:
        if self._resumed_rng is not None:
            set_rng_state(self._resumed_rng)
            self._resumed_rng = None

    def before_save_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Make the message hub and the meta information plain."""
        checkpoint['state_dict'] = without_wrapper(checkpoint['state_dict'])
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {
            name: history_to_primitives(buffer)
            for name, buffer in hub['log_scalars'].items()
        }
        hub['runtime_info'] = self._plain_dict(
            hub['runtime_info'], "message_hub['runtime_info']"
        )
        hub['resumed_keys'] = dict(hub['resumed_keys'])
        meta = self._plain_dict(checkpoint['meta'], 'meta')
        checkpoint['meta'] = meta
        if 'param_schedulers' in checkpoint:
            checkpoint['param_schedulers'] = self._plain_schedulers(
                checkpoint['param_schedulers']
            )
        position = self._position.state(runner.train_loop, meta)
        if position is not None:
            checkpoint[DATA_POSITION] = position
        if get_world_size() == 1 and RNG_STATES not in checkpoint:
            checkpoint[RNG_STATES] = [training_rng_state(runner)]
        judge_checkpoint(runner, checkpoint)
        self._warn_of_open_windows(runner, checkpoint)

    def _plain_schedulers(self, states: Any) -> Any:
        """Without what a scheduler makes of its settings, such as methods."""
        if isinstance(states, dict):
            return {
                name: self._plain_schedulers(state)
                for name, state in states.items()
            }
        return [
            self._plain_dict(state, f'param_schedulers[{i}]')
            for i, state in enumerate(states)
        ]

    def _warn_of_open_windows(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Say where a checkpoint does not hold all of a window."""
        for name, wrapper in named_wrappers(runner):
            counts = accumulative_counts(wrapper)
            if isinstance(wrapper, RankState):
                if (
                    get_world_size() > 1
                    and OPTIMIZER_BY_RANK not in checkpoint
                    and 'grads' in wrapper.rank_state().get(WINDOW, ())
                ):
                    self._warn_once(
                        f'{name or "optim_wrapper"}: this checkpoint is taken '
                        'inside of a window of micro-batches, and holds the '
                        'gradients of the first of '
                        f'{get_world_size()} ranks alone; default_hooks='
                        "dict(checkpoint=dict(type='mmamp.CheckpointHook')) "
                        'saves those of all'
                    )
                continue
            if wrapper.inner_count % counts == 0:
                continue
            self._warn_once(
                f'{name or "optim_wrapper"} ({type(wrapper).__name__}): this '
                'checkpoint is taken inside of a window of '
                f'{counts} micro-batches, whose '
                'gradients it does not hold. Choose a checkpoint interval '
                f"that is a multiple of {counts}, or type='mmamp."
                "AmpOptimWrapper' (dtype='float32' for full precision)"
            )

    def after_load_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Give MMEngine back the objects that it expects."""
        scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, value in scalars.items():
            scalars[name] = history_from(value)
        if is_resuming(runner):
            check_resumed(runner, checkpoint)
            tell_other_settings(runner, checkpoint)
            self._take_rng(checkpoint.pop(RNG_STATES, None))
            self._position.load(checkpoint.pop(DATA_POSITION, None))
        else:
            tell_what_is_not_loaded(runner, checkpoint)

    def _take_rng(self, states: list[dict[str, Any]] | None) -> None:
        if states is None or len(states) != get_world_size():
            found = 'none' if states is None else f'those of {len(states)}'
            self._warn_once(
                f'the checkpoint holds no random-number states of '
                f'{get_world_size()} processes ({found}): the run goes on, '
                'but not bit for bit as if it had not stopped'
            )
            self._draws_anew = True
            return
        self._draws_anew = False
        self._resumed_rng = states[get_rank()]

    def _plain_dict(
        self, values: dict[str, Any], where: str
    ) -> dict[str, Any]:
        """Return the entries that are plain; say which are not, once."""
        result = {}
        for key, value in values.items():
            try:
                result[key] = to_primitives(value)
            except TypeError as error:
                self._warn_once(
                    f'{where}[{key!r}] is left out of checkpoints: it holds '
                    f'a {error}, which could not be loaded again'
                )
        return result
