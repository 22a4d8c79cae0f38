"""The smallest set of rules that removes the damage, found by trying."""

import re
from collections.abc import Callable, Iterator
from typing import Any

Rules = list[dict[str, Any]]


class NoMoreTrials(Exception):
    """The search has used up its trials."""


def smallest(
    candidates: list[str], mends: Callable[[list[str]], bool]
) -> list[str] | None:
    """Find a smallest set of modules which, in float32, remove the damage.

    The bisection of Zeller and Hildebrandt, "Simplifying and Isolating
    Failure-Inducing Input", TSE 2002: no module of the result can be left out.

    Args:
        candidates (list[str]): Names of modules.
        mends (Callable): Tries some of them, and says whether the damage is
            gone. With ``NoMoreTrials`` it ends the search: what is the
            smallest set so far is the result.

    Returns:
        list[str] or None: None if all of them together do not mend it, or
        nobody could try.
    """
    try:
        if not candidates or not mends(candidates):
            return None
    except NoMoreTrials:
        return None
    try:
        for smaller in _smaller_and_smaller(candidates, mends):
            candidates = smaller
    except NoMoreTrials:
        pass
    return candidates


def _smaller_and_smaller(
    candidates: list[str], mends: Callable[[list[str]], bool]
) -> Iterator[list[str]]:
    """Yield sets that remove the damage, each a part of the one before."""
    parts = 2
    while len(candidates) > 1:
        parts = min(parts, len(candidates))
        size = -(-len(candidates) // parts)
        chunks = [
            candidates[i : i + size] for i in range(0, len(candidates), size)
        ]
        rests = [[x for x in candidates if x not in c] for c in chunks]
        # Of two halves one is the other's rest.
        tried = chunks if parts == 2 else [*chunks, *rests]
        smaller = next((x for x in tried if x and mends(x)), None)
        if smaller is not None:
            parts = 2 if smaller in chunks else max(parts - 1, 2)
            candidates = smaller
            yield candidates
        elif parts == len(candidates):
            break
        else:
            parts *= 2


def rules_for(modules: list[str]) -> Rules:
    """Return rules that put modules into float32.

    Args:
        modules (list[str]): Their names.
    """
    return [dict(pattern=re.escape(x), dtype='float32') for x in modules]
