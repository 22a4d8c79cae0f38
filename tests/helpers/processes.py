"""Processes that a test has started, or lost."""

from pathlib import Path


def is_alive(number):
    """Whether there is such a process, but for what nobody has waited for."""
    try:
        stat = Path(f'/proc/{number}/stat').read_text()
    except OSError:
        return False
    return stat.rpartition(')')[2].split()[0] != 'Z'
