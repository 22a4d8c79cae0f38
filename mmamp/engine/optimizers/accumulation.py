"""Windows of gradient accumulation."""


def window(
    index: int, counts: int, init_counts: int = 0, max_counts: int = -1
) -> tuple[int, int]:
    """Return the accumulation window that a micro-batch belongs to.

    Args:
        index (int): The micro-batch, from 0.
        counts (int): Micro-batches in a full window.
        init_counts (int): Where this process began; the window it began in
            has only what came after. Defaults to 0.
        max_counts (int): Where the run ends; the last window is cut there.
            Defaults to -1: unknown.

    Returns:
        tuple[int, int]: The window's first micro-batch, and one past its last.
    """
    first = index // counts * counts
    last = first + counts
    if first < init_counts <= index:
        first = init_counts
    if index < max_counts < last:
        last = max_counts
    return first, last
