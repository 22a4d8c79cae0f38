"""Whether all ranks have as many batches."""

from typing import Any

from mmengine.dist import all_gather_object, get_world_size

from mmamp.distributed.sharding import is_sharded
from mmamp.errors import UsageError


def check_equal_parts(runner: Any) -> None:
    """Refuse, before anything is trained, ranks that would wait for ever.

    In each training iteration all ranks wait for each other; in validation
    they do where networks are sharded, and may have other numbers of batches
    where they are not.

    Args:
        runner (Runner): The runner, on all ranks, its loops built.

    Raises:
        UsageError: If one has more batches than another.
    """
    if get_world_size() == 1:
        return
    numbers = {}
    train = runner.train_loop
    # One that goes by iterations begins anew where its data ends.
    if getattr(train, '_max_epochs', None) and not hasattr(
        train, 'dataloader_iterator'
    ):
        numbers['train_dataloader'] = _batches(train)
    if any(is_sharded(param) for param in runner.model.parameters()):
        numbers['val_dataloader'] = _batches(runner.val_loop)
    of_ranks = all_gather_object(numbers)
    for key in numbers:
        found = [each[key] for each in of_ranks]
        if len(set(found)) > 1:
            each = ', '.join(f'{i}: {n}' for i, n in enumerate(found))
            raise UsageError(
                f'{key}: the ranks have different numbers of batches '
                f'({each}), and would wait for each other for ever. A '
                "sampler=dict(type='DefaultSampler') deals out as many "
                'samples to each, by repeating the first ones '
                '(round_up=True, its default); so has one of your own to'
            )


def _batches(loop: Any) -> int | None:
    """Return how many batches a loop has on this rank, if that is known."""
    try:
        return len(loop.dataloader)
    except (AttributeError, TypeError):
        return None
