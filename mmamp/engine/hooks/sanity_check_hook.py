"""Mistakes of data and evaluation, found before anything is trained."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import ceil
from typing import Any

import torch
from mmengine.dist import get_dist_info
from mmengine.evaluator import BaseMetric, DumpResults
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.logging import print_log
from mmengine.runner import ValLoop
from torch.utils.data import DataLoader

from mmamp.errors import UsageError, of_worker
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
_KNOWN = (*_OWN, 'torch', 'builtins')
"""Packages whose samplers yield the places of single items."""
_OF_CODE = (ImportError, NameError)
"""What is raised that no number of samples mends."""
_Failure = tuple[Any, BaseException]
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
    Loops with a ``run`` of their own, and data with a sampler of their own,
    are left out, which the log says.

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
        if other := _own_way(loop):
            print_log(
                f'Sanity check: {type(other).__name__} validates in a way of '
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
            if _is_own(metric) or _is_of_code(failure):
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
        evaluator = loop.evaluator
        needed = max(
            (
                metric.min_samples
                for metric in evaluator.metrics
                if isinstance(metric, NeedsSamples)
            ),
            default=0,
        )
        loader = loop.dataloader
        few, taken = _few(loader, self.num_val_batches, needed)
        metrics: dict[str, Any] = {}
        # Some hooks go through validation themselves.
        loop.dataloader = few
        try:
            with (
                _noted(evaluator.metrics, failures),
                _without_hooks(runner),
                _prepared(runner, metrics),
                in_eval_mode(runner.model),
            ):
                for number, batch in enumerate(few):
                    loop.run_iter(number, batch)
                with quiet():
                    metrics.update(_evaluated(evaluator, taken, failures))
        finally:
            loop.dataloader = loader
        loop.val_loss.clear()
        return metrics


def _own_way(loop: Any) -> Any:
    """Return what makes validation other than MMEngine's, if anything."""
    if not isinstance(loop, ValLoop) or type(loop).run is not ValLoop.run:
        return loop
    loader = loop.dataloader
    if not hasattr(loader.dataset, '__getitem__'):
        return loader.dataset
    for part in (loader.sampler, loader.batch_sampler):
        if _package(part) not in _KNOWN:
            return part
    metrics = getattr(loop.evaluator, 'metrics', None)
    if not isinstance(metrics, list):
        return loop.evaluator
    return next((x for x in metrics if not isinstance(x, BaseMetric)), None)


def _package(thing: Any) -> str:
    return type(thing).__module__.partition('.')[0]


def _refusal(error: BaseException) -> UsageError:
    return UsageError(
        'validation, which is tried with a batch before training, fails: '
        f'{_in_words(error)} ({KEY}=0 leaves this out)'
    )


def _in_words(error: BaseException) -> str:
    text = of_worker(str(error)) or f'{type(error).__name__}: {error}'
    return ' '.join(text.split())


def _is_of_code(failure: BaseException) -> bool:
    # A loop over nothing leaves its variables unbound.
    is_unbound = isinstance(failure, UnboundLocalError)
    return isinstance(failure, _OF_CODE) and not is_unbound


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)


def _is_own(metric: Any) -> bool:
    """Tell whether a metric is mmamp's, of which it is known what it needs."""
    return _package(metric) == 'mmamp'


def _evaluated(
    evaluator: Any, num: int, failures: list[_Failure]
) -> dict[str, Any]:
    """Compute the metrics; where others compute them, as far as they can."""
    try:
        found: dict[str, Any] = evaluator.evaluate(num)
    except Exception as error:
        if all(map(_is_own, evaluator.metrics)):
            raise
        failures.append((evaluator, error))
        for metric in evaluator.metrics:
            metric.results.clear()
        return {}
    return found


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
    except (Exception, SystemExit) as error:
        failures.append((metric, error))
        return {}


@contextmanager
def _unmoved(runner: Any) -> Iterator[None]:
    """Have training not see what is done meanwhile."""
    states = rng_state()
    buffers = list(runner.model.buffers())
    kept = [buffer.detach().clone() for buffer in buffers]
    hub = runner.message_hub
    kept_of_hub = [(x, dict(x)) for x in (hub.runtime_info, hub.log_scalars)]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.copy_(value)
        for now, before in kept_of_hub:
            now.clear()
            now.update(before)
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
                own = _package(hook) in _OWN
                hook.after_val_epoch(runner, metrics=None if own else metrics)
            for hook in hooks:
                hook.after_val(runner)


def _has(hook: Hook, stage: str) -> bool:
    """Tell whether a hook does something at a stage."""
    return getattr(type(hook), stage) is not getattr(Hook, stage)


@contextmanager
def _without_hooks(runner: Any) -> Iterator[None]:
    """Have nobody hear of what is done."""
    runner.call_hook = lambda *args, **kwargs: None
    try:
        yield
    finally:
        del runner.call_hook


def _few(
    loader: Any, batches: int, samples: int = 0, most: int | None = None
) -> tuple[DataLoader[Any], int]:
    """Return a loader of so many batches and samples, at least.

    Neither sampler nor workers are asked, whose states would move. Where there
    are workers, it has one: what a dataset opens at its first item, such as an
    LMDB, no process may have that forks later.

    Returns:
        tuple[DataLoader, int]: Of this rank's batches, and how many samples
        of all ranks they are.
    """
    rank, world_size = get_dist_info()
    length = len(loader.dataset)
    share = ceil(length / world_size)
    size = max(1, min(most or loader.batch_size or 1, share))
    num = min(size * max(batches, ceil(samples / (size * world_size))), share)
    few = DataLoader(
        loader.dataset,
        size,
        sampler=[(i * world_size + rank) % length for i in range(num)],
        num_workers=min(1, loader.num_workers),
        collate_fn=loader.collate_fn,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
    )
    return few, num * world_size


def _check_data(runner: Any, model: ChecksData) -> None:
    """Have a model look at a picture, and at the classes of the data."""
    train = runner.train_loop.dataloader
    _check_classes(train.dataset, model, trains=True)
    if runner.val_loop is not None:
        dataset = runner.val_loop.dataloader.dataset
        _check_classes(dataset, model, trains=False)
    is_known = _package(train.sampler) in _KNOWN
    if is_known and hasattr(train.dataset, '__getitem__'):
        (batch,) = _few(train, 1, most=1)[0]
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
