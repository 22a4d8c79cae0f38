"""Memory that importing takes, whatever is trained."""

import subprocess
import sys
from collections.abc import Iterable

from mmamp.precision.devices import STATUS

from .peers import module_of

RUNNER = 'mmamp.train, with what the Runner imports once it is made'
_OF_RUNNER = (
    *('mmamp.train', 'mmamp.models', 'mmengine.runner'),
    'matplotlib.pyplot',
)

_CODE = """
import importlib, sys
def resident():
    for line in open(sys.argv[1]):
        if line.startswith('VmRSS'):
            return int(line.split()[1]) * 1024
import torch
before = resident()
for name in sys.argv[2:]:
    importlib.import_module(name)
print(resident() - before)
"""


def memory_of_imports(peers: Iterable[str]) -> dict[str, int]:
    """Measure what importing takes in new processes that have torch.

    Args:
        peers (Iterable[str]): Other packages that are asked for.

    Returns:
        dict[str, int]: Bytes, by what is imported; empty where the system
        does not say.
    """
    if not STATUS.is_file():
        return {}
    asked = {RUNNER: _OF_RUNNER, **{x: (module_of(x),) for x in peers}}
    return {what: _measure(names) for what, names in asked.items()}


def _measure(names: tuple[str, ...]) -> int:
    process = subprocess.run(
        [sys.executable, '-c', _CODE, str(STATUS), *names],
        capture_output=True,
        text=True,
    )
    if process.returncode:
        raise RuntimeError(
            f'importing {", ".join(names)} failed:\n{process.stderr}'
        )
    return int(process.stdout.split()[-1])
