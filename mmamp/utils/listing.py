"""Lists in messages, which name a few and count the rest."""

from collections.abc import Sequence


def listed(texts: Sequence[str], shown: int) -> str:
    """Return texts in a row, as many as are shown.

    Args:
        texts (Sequence[str]): What is listed.
        shown (int): Of more than these the rest is counted.

    Returns:
        str: Such as ``'a, b and 3 more'``.
    """
    more = f' and {len(texts) - shown} more' if len(texts) > shown else ''
    return ', '.join(texts[:shown]) + more
