"""The most memory that training took."""

from pathlib import Path

import torch

STATUS = Path('/proc/self/status')
"""What Linux says of this process."""


class PeakMemory:
    """Peak of the accelerator, or on a CPU of the process.

    Of the process, what it had when this was made does not count: make it
    once everything is imported.
    """

    def __init__(self) -> None:
        self._before = _resident('VmRSS')

    def so_far(self) -> int:
        """Bytes; 0 on a CPU where the system does not say."""
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
        return _resident('VmHWM') - self._before


def _resident(key: str) -> int:
    """Resident memory of this process in bytes: 'VmRSS' now, 'VmHWM' ever."""
    lines = STATUS.read_text().splitlines() if STATUS.is_file() else ()
    for line in lines:
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0
