"""A few items of a dataset, always the same ones."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from mmengine.dataset import default_collate

from mmamp.randomness.position import seed_at
from mmamp.randomness.watch import preserved
from mmamp.utils.protocols import TellsInfo


def shown_items(
    dataset: Any, num: int, labels: Sequence[int] | None = None
) -> dict[str, Any]:
    """Load and stack items that are spread evenly over a dataset.

    Neighbours are often alike, such as patches of one photograph. Random
    transforms are seeded, and no generator is moved.

    Args:
        dataset (Dataset): With items of one size.
        num (int): How many; some twice or more if it has fewer.
        labels (Sequence[int], optional): Classes that they shall be of, if
            the dataset knows its items' ``gt_label``. Defaults to None: any.

    Returns:
        dict: A batch, as the data loader gives it.

    Raises:
        ValueError: If the items are of several sizes.
    """
    indices = [i * len(dataset) // num for i in range(num)]
    if labels is not None:
        indices = _of_classes(dataset, indices, labels)
    with preserved():
        items = []
        for i in indices:
            seed_at((0, 0, i))
            items.append(dataset[i])
    sizes = sorted({tuple(item['inputs'].shape) for item in items})
    if len(sizes) > 1:
        raise ValueError(
            f'{num} items of {type(dataset).__name__} are of '
            f'several sizes ({", ".join(map(str, sizes[:3]))}), and cannot be '
            'shown beside each other: let its pipeline resize or crop them, '
            'or ask for a single one'
        )
    batch: dict[str, Any] = default_collate(items)
    return batch


def _of_classes(
    dataset: Any, indices: list[int], labels: Sequence[int]
) -> list[int]:
    """Return indices of items of the classes, where there are such."""
    size = len(dataset)
    if not isinstance(dataset, TellsInfo):
        return indices
    wanted = set(labels)
    by_class = defaultdict(list)
    for i in range(size):
        label = dataset.get_data_info(i).get('gt_label')
        if label in wanted:
            by_class[label].append(i)
    taken: dict[int, int] = defaultdict(int)
    for place, label in enumerate(labels):
        found = by_class.get(label)
        if found:
            indices[place] = found[taken[label] % len(found)]
            taken[label] += 1
    return indices
