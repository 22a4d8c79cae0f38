"""``print_log(..., 'mmgen')`` prints to the current logger.

MMCV made a logger of any name; MMEngine's ``print_log`` takes the name of one
that is there, and the Runner's has that of the experiment.
"""

from typing import Any

import libcst as cst

from mmamp.migration.code.names import of_type, swap
from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule

KEPT = ('silent', 'current')


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    names = notes.names(module)
    news: dict[cst.CSTNode, cst.CSTNode] = {}
    for call in of_type(module, cst.Call):
        found = names.of(call.func)
        if not found or not all(_is_of_mmcv(x) for x in found):
            continue
        for i, arg in enumerate(call.args):
            name = arg.keyword.value if arg.keyword else ('', 'logger')[i == 1]
            text = _text(arg.value)
            if name == 'logger' and text and text not in KEPT:
                news[arg.value] = cst.SimpleString("'current'")
                notes.changed(call, f'the logger {text} is the current one')
    return swap(module, news)


def _is_of_mmcv(name: str) -> bool:
    first, _, rest = name.partition('.')
    return first in ('mmcv', 'mmengine') and rest.endswith('print_log')


def _text(node: Any) -> str:
    """Return a text that is written out; empty for all else."""
    if isinstance(node, cst.SimpleString):
        return str(node.evaluated_value)
    # f'{__name__}', and the like.
    return '...' if isinstance(node, cst.FormattedString) else ''


RULE = Rule('loggers', 'names of loggers', apply, ('print_log',))
