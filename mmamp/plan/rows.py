"""What is said of a config in one dtype, under one strategy."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from traceback import walk_tb
from typing import Any
from unittest.mock import patch

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmamp.compat.torch import NO_NUMBERS
from mmamp.errors import UsageError
from mmamp.launcher.mistakes import MISTAKES
from mmamp.launcher.valid_names import valid_names
from mmamp.precision.devices import free_memory
from mmamp.precision.islands import islands
from mmamp.utils.modules import named_modules

from .batches import Batches
from .ledger import WEIGHTS, Ledger, Moment
from .plan_config import plan_config
from .rehearsal import Rehearsal, Turn, rehearsed
from .traffic import ranks_that_are_not_there
from .watch import NeedsValues, is_of_user

BETWEEN = 'between the steps'
"""Where no network is in its turn: averages advance, hooks look."""
POINTS = 200
"""Of a timeline."""
SHOWN = 12
"""Modules that are listed, those with the most activations."""
TRIES = 4
"""Batch sizes that are rehearsed in search of the largest that fits."""
LARGEST = 2**16
"""Samples of a batch that is looked for."""
ROOM = 12
"""Times the weights that a run on real tensors has to have room for."""


@dataclass(frozen=True)
class Aim:
    """What is planned for.

    Args:
        device (str): As in ``torch.device(...).type``.
        ranks (int): Processes, each with a device.
        batch (int, optional): Samples a rank; None for the config's.
        memory (int, optional): Bytes of a device; None if it is not known.
        more_ranks (tuple[int]): Other numbers of ranks whose traffic is
            counted.
    """

    device: str
    ranks: int
    batch: int | None = None
    memory: int | None = None
    more_ranks: Sequence[int] = field(default=())


def row_of(cfg: Config, dtype: str, strategy: str, aim: Aim) -> dict[str, Any]:
    """Rehearse a config, and say what was seen.

    Args:
        cfg (Config): The user's.
        dtype (str): ``'float32'``, ``'bfloat16'`` or ``'float16'``.
        strategy (str): Of ``plan_config.STRATEGIES``.
        aim (Aim): What is planned for.

    Returns:
        dict: A row of ``plan.json``, as ``schema.json`` describes it.
    """
    row: dict[str, Any] = dict(
        dtype=dtype, strategy=strategy, failed=None, needs_values=None
    )
    try:
        try:
            return {**row, **_rehearse(cfg, dtype, strategy, aim, True)}
        except (NeedsValues, *NO_NUMBERS) as error:
            row['needs_values'] = where = _place_of(error)
            _check_room(cfg, where)
            return {**row, **_rehearse(cfg, dtype, strategy, aim, False)}
    except Exception as error:
        if isinstance(error, UsageError) and strategy == 'none':
            raise  # the config itself is at fault
        row['failed'] = (
            f'{type(error).__name__}: {" ".join(str(error).split())}'
        )
        return row


def _place_of(error: BaseException) -> str:
    """Return the user's line that asks for numbers."""
    if isinstance(error, NeedsValues):
        return error.place
    frames = [
        (x.f_code.co_filename, n) for x, n in walk_tb(error.__traceback__)
    ]
    own = [f'{file}:{line}' for file, line in frames if is_of_user(file)]
    return own[-1] if own else f'{frames[-1][0]}:{frames[-1][1]}'


def _check_room(cfg: Config, where: str) -> None:
    """Refuse a run on real tensors that this machine has no room for."""
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    free = free_memory()
    with rehearsed(plan_config(cfg, 'float32', 'none')) as run:
        assert run.watch is not None
        ledger = run.watch.ledger
        weights = ledger.moment(ledger.now).parts[WEIGHTS]
    if free and weights * ROOM > free:
        raise MemoryError(
            f'the model asks for numbers at {where}, and {free >> 20} MiB '
            'are too few here for a run on real tensors of the CPU'
        )


def _rehearse(
    cfg: Config, dtype: str, strategy: str, aim: Aim, is_fake: bool
) -> dict[str, Any]:
    plan = plan_config(cfg, dtype, strategy)
    init_default_scope(plan.get('default_scope', 'mmengine'))
    alone = strategy == 'none'
    ranks = nullcontext() if alone else ranks_that_are_not_there(aim.ranks)
    with ranks:
        batches = Batches(plan)
        size = aim.batch or batches.size
        with _built(plan, aim.device, is_fake) as run:
            row = _seen(run, batches, size, strategy)
            if is_fake and alone:
                row['savings'] = _savings(run, batches, size, row)
            if is_fake and aim.memory:
                row['largest_batch'] = _largest(
                    run, batches, size, row['peak']['total'], aim.memory
                )
    if alone:
        row['traffic'] = []
    else:
        row['traffic'] = [
            dict(ranks=aim.ranks, **row['traffic']),
            *(
                _traffic_of(plan, n, size)
                for n in aim.more_ranks
                if n != aim.ranks and is_fake
            ),
        ]
    return row


@contextmanager
def _built(plan: Config, device: str, is_fake: bool) -> Iterator[Rehearsal]:
    """Begin a rehearsal; what cannot be built is a mistake of the config's."""
    with ExitStack() as stack:
        try:
            run = stack.enter_context(rehearsed(plan, device, is_fake))
        except UsageError:
            raise
        except MISTAKES as error:
            # A KeyError would put its text into quotes.
            text = error.args[0] if isinstance(error, KeyError) else error
            said = ' '.join(f'{text}{valid_names(error)}'.split())
            raise UsageError(f'{type(error).__name__}: {said}') from error
        yield run


def _seen(
    run: Rehearsal, batches: Batches, size: int, strategy: str
) -> dict[str, Any]:
    """Rehearse updates, and say what the last one took."""
    watch, target = run.watch, run.target
    assert watch is not None
    assert target is not None
    traffic = run.count_traffic()
    warm_up = 2 if strategy == 'ddp' else 1
    batch = (
        batches.of(size) if run.fakes.values is None else (batches.like(size))
    )
    run.penalise(False)
    for _ in range(warm_up):
        with traffic:
            run.update(batch)
    for counted in (watch.work, watch.moved, watch.waits):
        counted.clear()
    traffic.begin()
    run.penalise(True)
    with traffic:
        turn = run.update(batch)
    ledger = watch.ledger
    peak = ledger.peak(turn.first, turn.last)
    return dict(
        batch=size,
        peak=_moment(peak),
        networks=_by_network(ledger, turn),
        timeline=ledger.timeline(turn.first, turn.last, POINTS),
        iterations=turn.iterations,
        autocast=target.state(),
        waits=[
            dict(place=place, times=n)
            for place, n in sorted(watch.waits.items())
        ],
        float32_modules=_islands(run.model),
        compute=_listed(watch.work, 'multiply_adds'),
        moved=_listed(watch.moved, 'bytes'),
        traffic=_sent(traffic),
    )


def _moment(moment: Moment) -> dict[str, Any]:
    modules = list(moment.modules.items())[:SHOWN]
    return dict(
        total=moment.total,
        phase=moment.mark or BETWEEN,
        parts=moment.parts,
        modules=[dict(name=name, bytes=n) for name, n in modules],
    )


def _by_network(ledger: Ledger, turn: Turn) -> dict[str, int]:
    """Return the peak of each network's turn, by its optimizer."""
    found: dict[str, int] = {}
    for mark, total in ledger.peaks(turn.first, turn.last).items():
        role = mark.rpartition(': ')[0]
        if role:
            found[role] = max(found.get(role, 0), total)
    return found


def _listed(
    counter: Counter[tuple[str, str]], key: str
) -> list[dict[str, Any]]:
    return [
        {'network': role, 'dtype': dtype, key: n}
        for (role, dtype), n in sorted(counter.items())
        if n
    ]


def _sent(traffic: Any) -> dict[str, Any]:
    return dict(
        calls=dict(traffic.calls),
        sizes=dict(traffic.sizes),
        sent=traffic.sent,
    )


def _islands(model: nn.Module) -> list[str]:
    """Name the modules that a rule has run in float32."""
    return [
        names[0]
        for names, module in named_modules(model)
        if any(x.dtype is torch.float32 for x in islands(module))
    ]


def _traffic_of(plan: Config, ranks: int, size: int) -> dict[str, Any]:
    """Count the traffic of an update with another number of ranks."""
    with ranks_that_are_not_there(ranks):
        batches = Batches(plan)
        with rehearsed(plan) as run:
            traffic = run.count_traffic()
            for due in (False, False, True):
                run.penalise(due)
                traffic.begin()
                with traffic:
                    run.update(batches.of(min(size, 2)))
    return dict(ranks=ranks, **_sent(traffic))


# ---- what else would be possible --------------------------------------------


def _peak_at(run: Rehearsal, batches: Batches, size: int) -> int:
    """Return the peak with other batches."""
    assert run.watch is not None
    turn = run.update(batches.like(size))
    return run.watch.ledger.peak(turn.first, turn.last).total


def _largest(
    run: Rehearsal, batches: Batches, size: int, peak: int, memory: int
) -> int:
    """Find the largest batch that fits, up to ``LARGEST``; 0 if none does."""
    known = {size: peak}
    other = max(size // 2, 1) if size > 1 else 2
    known[other] = _peak_at(run, batches, other)
    for _ in range(TRIES):
        fits = [x for x in known if known[x] <= memory]
        misses = [x for x in known if known[x] > memory]
        best, least = max(fits, default=0), min(misses, default=None)
        if best >= LARGEST or (least is not None and least - best <= 1):
            return best
        guess = min(max(_crossing(known, memory), best + 1), LARGEST)
        guess = guess if least is None else min(guess, least - 1)
        known[guess] = _peak_at(run, batches, guess)
    return max((x for x in known if known[x] <= memory), default=0)


def _crossing(known: dict[int, int], memory: int) -> int:
    """Return where the line through the two nearest points meets a size."""
    (a, y), (b, z) = sorted(known.items(), key=lambda x: abs(x[1] - memory))[
        :2
    ]
    slope = (z - y) / (b - a)
    return int(a + (memory - y) / slope) if slope > 0 else 2 * max(known)


def _savings(
    run: Rehearsal, batches: Batches, size: int, row: dict[str, Any]
) -> list[dict[str, Any]]:
    """Rehearse what would take less memory; what frees the most first."""
    found = []
    peak = row['peak']['total']
    if size > 1:
        half = _peak_at(run, batches, size // 2)
        text = f'batches of {size // 2}, accumulated twice as often'
        found.append(dict(what=text, bytes=peak - half))
    for name in _heaviest(row['peak']['modules'], run.model):
        with checkpointed(run.model.get_submodule(name)):
            less = _peak_at(run, batches, size)
        found.append(dict(what=f'checkpointing of {name}', bytes=peak - less))
    found = [x for x in found if x['bytes'] > 0]
    return sorted(found, key=lambda x: -x['bytes'])


def _heaviest(modules: list[dict[str, Any]], model: nn.Module) -> list[str]:
    """Name the module below a network that has the most activations."""
    sizes: Counter[str] = Counter()
    for entry in modules:
        parts = entry['name'].split('.')
        for depth in range(2, len(parts)):
            sizes['.'.join(parts[:depth])] += entry['bytes']
    names = {x for x, module in model.named_modules() if _runs(module)}
    return [x for x, _ in sizes.most_common() if x in names][:1]


def _runs(module: nn.Module) -> bool:
    """Tell whether a module is called by itself."""
    return type(module).forward is not nn.ModuleList.forward


@contextmanager
def checkpointed(module: nn.Module) -> Iterator[None]:
    """Have a module's activations be computed again in the backward pass.

    Args:
        module (nn.Module): The module.
    """
    forward = module.forward

    def again(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    with patch.object(module, 'forward', again):
        yield
