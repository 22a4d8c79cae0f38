"""What to do about values that are not finite."""

import logging
from dataclasses import dataclass
from typing import Any

from mmengine.dist import all_gather_object, barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmamp.errors import NonFiniteTrainingError
from mmamp.precision.names import name_of
from mmamp.precision.nonfinite import Finding, NonFiniteTracer
from mmamp.registry import HOOKS
from mmamp.utils.checks import check_int
from mmamp.utils.protocols import Recording

from .checkpoint_content import save_this_iteration
from .runner_access import (
    logging_interval,
    named_wrappers,
    recording_wrappers,
)


@dataclass(frozen=True)
class _Suspect:
    """An optimizer that is stuck.

    Args:
        name (str): Of it.
        skipped (int): Windows that it had skipped when that was seen.
        stuck (int): How many of them in a row, about.
        path (str): Of the checkpoint that was saved then.
    """

    name: str
    skipped: int
    stuck: int
    path: str


@HOOKS.register_module()
class OverflowHook(Hook):
    """Find the module behind gradients that are not finite.

    A loss scale that is too high makes gradients overflow now and then; the
    scaler lowers it, and that is its daily work. Where no lower scale helps
    (at its minimum, with a static one, or in bfloat16 and float32, which have
    none) and ``patience`` windows were skipped (64 finite ones make up for
    one), this hook saves a checkpoint of the state, which is still the last
    finite one, watches every module until the next skipped window, which
    takes memory, and ends the run with an error, on all ranks: it names the
    first module, forward or backward, whose output or gradient is not finite,
    whether that is an overflow or a true nan, and the rule for
    :class:`~mmamp.engine.hooks.precision_hook.PrecisionHook` that mends it.

    Costs nothing until then: the count is read when the log is written.

    Args:
        patience (int): Windows of one optimizer that are skipped. Defaults
            to 20.
        watch (int): Watch this many iterations from the run's first on, log
            what is found, and go on. Slow: each module waits for the device.
            Defaults to 0.
        interval (int, optional): Iterations between two looks at the count.
            Defaults to None: the logger hook's.

    Raises:
        ValueError: If a number is out of its range.

    Examples:
        >>> custom_hooks = [dict(type='mmamp.OverflowHook', patience=50)]
    """

    # Before checkpoints are written.
    priority = 'BELOW_NORMAL'

    def __init__(
        self, patience: int = 20, watch: int = 0, interval: int | None = None
    ) -> None:
        for name, value, low in [
            ('patience', patience, 1),
            ('watch', watch, 0),
            ('interval', 1 if interval is None else interval, 1),
        ]:
            check_int(name, value, low)
        self.patience = patience
        self.interval = interval
        self._watch_left = watch
        self._tracer: NonFiniteTracer | None = None
        self._suspect: _Suspect | None = None
        # The windows that it had had, and skipped, when one was skipped last.
        self._last_skip = (0, 0)
        self._said: set[Finding] = set()

    def watch_next(self, num: int) -> None:
        """Watch the next iterations, as ``watch`` does the first.

        Args:
            num (int): How many.
        """
        self._watch_left = num

    def before_train(self, runner: Any) -> None:
        """Take over the logger's interval, if none was given."""
        if self.interval is None:
            self.interval = logging_interval(runner)
        unwatched = [
            f'{name or "optim_wrapper"} ({type(wrapper).__name__})'
            for name, wrapper in named_wrappers(runner)
            if not isinstance(wrapper, Recording)
        ]
        if unwatched:
            print_log(
                f'OverflowHook: {", ".join(unwatched)}: steps whatever the '
                'gradients are, finite or not. --amp, or '
                "type='mmamp.AmpOptimWrapper' with dtype='float32' for full "
                'precision, skips steps with gradients that are not, and '
                'counts them',
                logger='current',
            )

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Begin to watch, if it is asked for."""
        if self._watch_left or self._suspect is not None:
            if self._tracer is None:
                self._tracer = NonFiniteTracer(runner.model)
                self._tracer.attach()
            self._tracer.begin_step()

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Look at what was found; now and then, at the counts."""
        if self._watch_left:
            self._watch_left -= 1
            self._report(runner)
        if self._suspect is not None:
            self._judge(runner, self._suspect)
        elif self.every_n_train_iters(
            runner, self.interval or 10
        ) or self.is_last_train_iter(runner):
            self._look_for_suspects(runner)
        if not self._watch_left and self._suspect is None:
            self._stop_watching()

    def _look_for_suspects(self, runner: Any) -> None:
        for name, wrapper in _counting_wrappers(runner).items():
            if wrapper.stuck_steps >= self.patience:
                self._suspect_it(runner, name, wrapper)
                return

    def _suspect_it(self, runner: Any, name: str, wrapper: Any) -> None:
        """Save what is still finite, and watch from the next iteration on."""
        record, stuck = wrapper.record, wrapper.stuck_steps
        self._last_skip = record.windows, record.skipped
        path = ''
        following = 'the run ends here, having learnt nothing in them'
        if not self.is_last_train_iter(runner):
            for each in _counting_wrappers(runner).values():
                # A run that goes on from here shall not be suspected at once.
                each.record.forget_stuck()
            path = save_this_iteration(
                # Not the name of one of the run's checkpoints.
                runner,
                f'last_finite_iter_{runner.iter + 1}.pth',
            )
            following = (
                f'the last finite state is in {path}; looking for the module '
                'behind it'
            )
        self._suspect = _Suspect(name, record.skipped, stuck, path)
        print_log(
            f'{name}: {stuck} windows were skipped{_at_scale(wrapper)}; '
            f'{following}',
            logger='current',
            level=logging.WARNING,
        )

    def _judge(self, runner: Any, suspect: '_Suspect') -> None:
        """End the run when a skipped window has been watched to its end."""
        name, skipped = suspect.name, suspect.skipped
        wrapper = _counting_wrappers(runner)[name]
        record = wrapper.record
        windows, so_far = self._last_skip
        if record.skipped != so_far:
            self._last_skip = record.windows, record.skipped
        elif record.windows >= windows + 4 * self.patience:
            print_log(
                f'{name}: the gradients are finite again; {suspect.path} is '
                'not needed any more',
                logger='current',
            )
            self._suspect = None
            record.forget_stuck()
            return
        # Ranks that have another part of the data may have found nothing.
        mine = self._tracer.finding if self._tracer else None
        found = [f for f in all_gather_object(mine) if f is not None]
        # The first window may have been watched in part.
        if record.skipped < skipped + (1 if found else 2):
            return
        self._stop_watching()
        finding = found[0] if found else None
        stuck = suspect.stuck + record.skipped - skipped
        text = _verdict(name, wrapper, stuck, finding, suspect.path)
        if is_main_process():
            runner.logger.error(text)
        barrier()  # nobody leaves before it is told
        raise NonFiniteTrainingError(text)

    def _report(self, runner: Any) -> None:
        """Log a finding, the same one only once, and look for the next."""
        finding = self._tracer.finding if self._tracer else None
        if finding is None or self._tracer is None:
            return
        if self._suspect is None:
            self._tracer.reset()
        if finding in self._said:
            return
        self._said.add(finding)
        can_fall = [
            f'{name} ({wrapper.loss_scaler.get_scale():g})'
            for name, wrapper in _counting_wrappers(runner).items()
            if finding.backward and not bool(wrapper.loss_scaler.at_minimum())
        ]
        if can_fall and finding.cause in ('overflow', 'between'):
            print_log(
                f'Not finite: {finding.text}. A lower loss scale may do, '
                f'which is the work of the scaler: {", ".join(can_fall)}',
                logger='current',
            )
            return
        mend = f'. Mend it with {finding.rule}' if finding.rule else ''
        print_log(
            f'Not finite: {finding.text}{mend}',
            logger='current',
            level=logging.WARNING,
        )

    def _stop_watching(self) -> None:
        if self._tracer is not None:
            self._tracer.detach()
            self._tracer = None


def _verdict(
    name: str, wrapper: Any, stuck: int, finding: Finding | None, path: str
) -> str:
    """Say in words what ends the run."""
    what = (
        'no module makes it: look at the loss, and at what else touches the '
        'gradients'
        if finding is None
        else finding.text
    )
    mend = ''
    if finding is not None and finding.rule:
        mend = f' Mend it with {finding.rule}'
    scaler = wrapper.loss_scaler
    if scaler.is_enabled() and not scaler.dynamic:
        mend += (
            f' The loss scale is static: a lower one than '
            f"{scaler.get_scale():g}, or loss_scale='dynamic', may do."
        )
    return (
        f'{name}: {stuck} windows had gradients that are not '
        f'finite{_at_scale(wrapper)}, so that nothing is learnt any more. '
        f'The first of it: {what}.{mend} The last finite state is in {path}'
    )


def _counting_wrappers(runner: Any) -> dict[str, Any]:
    """Return the optimizer wrappers that count skipped windows, by name."""
    return {
        name or 'optim_wrapper': wrapper
        for name, wrapper in recording_wrappers(runner)
    }


def _at_scale(wrapper: Any) -> str:
    scaler = wrapper.loss_scaler
    if not scaler.is_enabled():
        dtype = name_of(wrapper.cast_dtype)
        return f' in {dtype}'
    return f' at a loss scale of {scaler.get_scale():g}, which cannot fall'
