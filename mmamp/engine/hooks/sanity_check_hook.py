"""Mistakes of data and evaluation, found before anything is trained."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import ceil
from typing import Any

import torch
from mmengine.dist import get_dist_info
from mmengine.evaluator import DumpResults
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.logging import print_log
from mmengine.runner import ValLoop

from mmamp.errors import UsageError
from mmamp.logging.quiet import quiet
from mmamp.randomness.state import rng_state, set_rng_state
from mmamp.registry import HOOKS
from mmamp.utils.checks import check_int
from mmamp.utils.modules import in_eval_mode, unwrap
from mmamp.utils.protocols import (
    ChecksData,
    HasOwnStatistics,
    NeedsSamples,
    TellsInfo,
)

KEY = 'default_hooks.sanity_check.num_val_batches'
"""Where a config says how much is checked."""
_OWN = ('mmengine', 'mmamp')
_OF_CODE = (AttributeError, ImportError, NameError, TypeError)
"""What code raises that no number of samples mends."""
_Failure = tuple[Any, Exception]
"""A metric, and what computing it has raised."""
_BEGIN = ('before_val', 'before_val_epoch')


@HOOKS.register_module()
class SanityCheckHook(Hook):
    """Go through validation with a batch before the first iteration.

    A metric that cannot do with what the model makes, a ``save_best`` that no
    metric reports, data of other channels or classes than the networks': else
    they are met at the first validation, hours later. A GAN of mmamp's also
    compares the first picture of the training data with its networks.

    Training does not depend on it: states of random numbers, buffers, modes
    and samplers are as they were, and nothing is scored, logged or saved. Of
    other hooks those take part that prepare a validation (``before_val``,
    ``before_val_epoch``), and put it back. Metrics that say how many samples
    they need (``min_samples``) get as many; one of another package that cannot
    be computed from few, or does not report what is waited for, is a warning.
    Loops with a ``run`` of their own are left out, which the log says.

    Args:
        num_val_batches (int): Batches of validation, at least; 0 leaves it
            out. Defaults to 1.

    Raises:
        ValueError: If it is negative.
        UsageError: If training or validation could not go on; one line.

    Examples:
        >>> default_hooks = dict(
        ...     sanity_check=dict(
        ...         type='mmamp.SanityCheckHook', num_val_batches=1))
    """

    # After those that prepare the model.
    priority = 'LOWEST'

    def __init__(self, num_val_batches: int = 1) -> None:
        self.num_val_batches = check_int(
            'num_val_batches', num_val_batches, low=0
        )

    def before_train(self, runner: Any) -> None:
        """Check, unless the run is at its end already."""
        if runner.iter >= runner.max_iters:
            return
        with _unmoved(runner):
            model = unwrap(runner.model)
            if isinstance(model, ChecksData):
                _check_data(runner, model)
            if self.num_val_batches and runner.val_loop is not None:
                self._check_validation(runner)

    def _check_validation(self, runner: Any) -> None:
        loop = runner.val_loop
        if not (
            isinstance(loop, ValLoop)
            and type(loop).run is ValLoop.run
            and hasattr(loop.dataloader.dataset, '__getitem__')
        ):
            print_log(
                f'Sanity check: {type(loop).__name__} validates in a way of '
                'its own, which is not tried before training',
                logger='current',
            )
            return
        failures: list[_Failure] = []
        try:
            metrics = self._validate(runner, loop, failures)
        except UsageError:
            raise
        except Exception as error:
            raise _refusal(error) from error
        for metric, failure in failures:
            if _is_own(metric) or isinstance(failure, _OF_CODE):
                raise _refusal(failure) from failure
            _warn(
                f'{type(metric).__name__} cannot be computed from the few '
                f'samples of the sanity check: {_in_words(failure)}. Where '
                'that is not for their number, the first validation fails'
            )
        for what, key in _wanted(runner):
            if key not in metrics:
                text = (
                    f'{what}={key!r}, but validation reports '
                    f'{", ".join(metrics) or "nothing"}'
                )
                if not all(map(_is_own, loop.evaluator.metrics)):
                    _warn(f'{text}, as far as few samples tell')
                    continue
                raise UsageError(text)
        print_log(
            f'Sanity check: validation and its metrics ('
            f'{", ".join(metrics) or "none"}) can be had; {KEY}=0 leaves this '
            'check out',
            logger='current',
        )

    def _validate(
        self, runner: Any, loop: ValLoop, failures: list[_Failure]
    ) -> dict[str, Any]:
        """Return the metrics of as little as they can be had of."""
        needed = max(
            (
                metric.min_samples
                for metric in loop.evaluator.metrics
                if isinstance(metric, NeedsSamples)
            ),
            default=0,
        )
        _, world_size = get_dist_info()
        taken = 0
        metrics: dict[str, Any] = {}
        with _prepared(runner, metrics), in_eval_mode(runner.model):
            for number, batch in enumerate(_batches(loop.dataloader)):
                if number >= self.num_val_batches and taken >= needed:
                    break
                with _without_hooks(runner):
                    loop.run_iter(number, batch[1])
                taken += batch[0] * world_size
            with quiet(), _noted(loop.evaluator.metrics, failures):
                metrics.update(loop.evaluator.evaluate(taken))
        loop.val_loss.clear()
        return metrics


def _refusal(error: Exception) -> UsageError:
    return UsageError(
        'validation, which is tried with a batch before training, fails: '
        f'{_in_words(error)} ({KEY}=0 leaves this out)'
    )


def _in_words(error: Exception) -> str:
    return f'{type(error).__name__}: {" ".join(str(error).split())}'


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)


def _is_own(metric: Any) -> bool:
    """Tell whether a metric is mmamp's, of which it is known what it needs."""
    return type(metric).__module__.partition('.')[0] == 'mmamp'


@contextmanager
def _noted(metrics: Any, failures: list[_Failure]) -> Iterator[None]:
    """Have metrics that cannot be computed report nothing, on all ranks.

    Those of other packages may need more samples than there are.
    """
    for metric in metrics:
        given = metric.compute_metrics
        metric.compute_metrics = partial(_computed, metric, given, failures)
    try:
        yield
    finally:
        for metric in metrics:
            del metric.compute_metrics


def _computed(
    metric: Any,
    given: Callable[[list[Any]], dict[str, Any]],
    failures: list[_Failure],
    results: list[Any],
) -> dict[str, Any]:
    if isinstance(metric, DumpResults):
        return {}  # it would write them to its file
    try:
        return given(results)
    except Exception as error:
        failures.append((metric, error))
        return {}


@contextmanager
def _unmoved(runner: Any) -> Iterator[None]:
    """Have training not see what is done meanwhile."""
    states = rng_state()
    buffers = list(runner.model.buffers())
    kept = [buffer.detach().clone() for buffer in buffers]
    info = dict(runner.message_hub.runtime_info)
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.copy_(value)
        runner.message_hub.runtime_info.clear()
        runner.message_hub.runtime_info.update(info)
        set_rng_state(states)


@contextmanager
def _prepared(runner: Any, metrics: dict[str, Any]) -> Iterator[None]:
    """Have hooks prepare a validation, and those of them put it back.

    MMEngine's and mmamp's hear of no metrics, which they would log.
    """
    hooks = [h for h in runner.hooks if any(_has(h, x) for x in _BEGIN)]
    model = unwrap(runner.model)
    with ExitStack() as stack:
        if isinstance(model, HasOwnStatistics):
            stack.enter_context(model.statistics_left_alone())
        for stage in _BEGIN:
            for hook in hooks:
                getattr(hook, stage)(runner)
        try:
            yield
        finally:
            for hook in hooks:
                own = type(hook).__module__.partition('.')[0] in _OWN
                hook.after_val_epoch(runner, metrics=None if own else metrics)
            for hook in hooks:
                hook.after_val(runner)


def _has(hook: Hook, stage: str) -> bool:
    """Tell whether a hook does something at a stage."""
    return getattr(type(hook), stage) is not getattr(Hook, stage)


@contextmanager
def _without_hooks(runner: Any) -> Iterator[None]:
    """Have nobody hear of an iteration."""
    runner.call_hook = lambda *args, **kwargs: None
    try:
        yield
    finally:
        del runner.call_hook


def _batches(
    loader: Any, most: int | None = None
) -> Iterator[tuple[int, Any]]:
    """Load batches of a rank, at most so large; their sizes come first.

    Neither sampler nor workers are asked, whose states would move.
    """
    rank, world_size = get_dist_info()
    length = len(loader.dataset)
    share = ceil(length / world_size)
    size = min(most or loader.batch_size or 1, share)
    for start in range(0, share, size):
        places = range(start, min(start + size, share))
        indices = [(i * world_size + rank) % length for i in places]
        items = [loader.dataset[i] for i in indices]
        yield len(items), loader.collate_fn(items)


def _check_data(runner: Any, model: ChecksData) -> None:
    """Have a model look at a picture, and at the classes of the data."""
    train = runner.train_loop.dataloader
    _check_classes(train.dataset, model, trains=True)
    if runner.val_loop is not None:
        dataset = runner.val_loop.dataloader.dataset
        _check_classes(dataset, model, trains=False)
    if hasattr(train.dataset, '__getitem__'):
        _, batch = next(_batches(train, most=1))
        prepared = model.data_preprocessor(batch, True)
        model.check_batch(prepared['inputs'], prepared.get('data_samples'))


def _check_classes(dataset: Any, model: ChecksData, trains: bool) -> None:
    names = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if names and model.needs_classes(len(names)):
        num = len(dataset)
        if isinstance(dataset, TellsInfo):
            infos = map(dataset.get_data_info, range(num))
            labels = {x['gt_label'] for x in infos if 'gt_label' in x}
            model.check_classes(sorted(labels), names, trains)


def _wanted(runner: Any) -> Iterator[tuple[str, str]]:
    """Yield which metrics something waits for, and what does."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook):
            for key in hook.save_best or ():
                if key != 'auto':
                    yield 'save_best', key
        elif isinstance(hook, EarlyStoppingHook) and hook.strict:
            yield 'EarlyStoppingHook: monitor', hook.monitor
    found = getattr(runner, 'param_schedulers', None) or []
    groups = found.values() if isinstance(found, dict) else [found]
    for schedulers in groups:
        for scheduler in schedulers:
            if getattr(scheduler, 'need_val_args', False):
                yield f'{type(scheduler).__name__}: monitor', scheduler.monitor
