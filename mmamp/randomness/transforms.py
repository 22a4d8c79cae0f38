"""Transforms that have a generator of their own.

albumentations >= 1.4.19 seeds one for each ``Compose`` and transform by the
operating system, whatever the seed of the run.
"""

from collections.abc import Iterator
from typing import Any

from mmamp.utils.protocols import DrawsByItself


def with_generators(dataset: Any) -> Iterator[DrawsByItself]:
    """Yield what draws from a generator of its own in a dataset's pipeline.

    Args:
        dataset (Any): A dataset of MMEngine's kind, whose ``pipeline`` has
            the transforms, or one around others.
    """
    held = _held(dataset)
    pipeline = held.get('pipeline')
    yield from _of(getattr(pipeline, 'transforms', pipeline), set())
    inner = [held.get('dataset'), *(held.get('datasets') or ())]
    for each in inner:
        if each is not None:
            yield from with_generators(each)


def _of(value: Any, seen: set[int]) -> Iterator[DrawsByItself]:
    """Look at a transform, or several, and into it: one may hold others."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, DrawsByItself):
        yield value
        return
    if callable(value):
        value = list(_held(value).values())
    for each in value if isinstance(value, list | tuple) else ():
        yield from _of(each, seen)


def _held(value: Any) -> dict[str, Any]:
    return vars(value) if hasattr(value, '__dict__') else {}
