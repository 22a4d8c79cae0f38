"""Code that cannot do with a low precision, and the rule that mends it."""

import re
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

from mmamp.utils.modules import named_modules

from .names import name_of

_OF_DTYPES = re.compile(
    r'dtype|scalar ?type|data type|\b(?:c10::)?(?:Half|BFloat16)\b',
    re.IGNORECASE,
)
_NUMPY = re.compile(r'unsupported ScalarType BFloat16', re.IGNORECASE)


def explain_mismatch(
    error: Exception, model: nn.Module, dtype: torch.dtype
) -> None:
    """Say which module an error about dtypes comes from, and what mends it.

    It is said in the log, and where Python can do so (from 3.11 on) at the end
    of the traceback too. Of an error of another kind nothing is said.

    Args:
        error (Exception): What a forward pass has raised.
        model (nn.Module): Whose pass it was.
        dtype (torch.dtype): What autocast was to compute in.
    """
    if getattr(error, '__notes__', None) or not _OF_DTYPES.search(str(error)):
        return
    found = _innermost(error, model)
    if found is None:
        return
    name, module = found
    text = (
        f'{type(module).__name__} {name!r} cannot compute in {name_of(dtype)}:'
        f' {" ".join(str(error).split())}. Let it run in float32: '
        "custom_hooks=[dict(type='mmamp.PrecisionHook', "
        f'rules=[dict(pattern={re.escape(name)!r})])]'
    )
    if _NUMPY.search(str(error)):
        text += (
            '; or train in float16 (--amp-dtype float16), which numpy has, '
            'other than bfloat16'
        )
    print_log(text, logger='current', level=40)
    if hasattr(error, 'add_note'):
        error.add_note(text)


def _innermost(
    error: Exception, model: nn.Module
) -> tuple[str, nn.Module] | None:
    """Return the module whose code is nearest to where an error was raised."""
    names = {id(m): all_names[0] for all_names, m in named_modules(model)}
    found = None
    for owner in _owners(error):
        if isinstance(owner, nn.Module) and names.get(id(owner)):
            found = names[id(owner)], owner
    return found


def _owners(error: Exception) -> Iterator[Any]:
    """Yield what methods in the traceback are of, from the outside in."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame.f_locals.get('self')
        traceback = traceback.tb_next
