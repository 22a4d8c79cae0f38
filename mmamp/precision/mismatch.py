"""Code that cannot do with a low precision, and the rule that mends it."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

from mmamp.utils.modules import named_modules

from .names import name_of

_OF_DTYPES = re.compile(
    r'[Dd]type|[Ss]calar ?[Tt]ype|[Dd]ata type|\b(?:c10::)?(?:Half|BFloat16)\b'
)
_NUMPY = re.compile(r'unsupported ScalarType BFloat16', re.IGNORECASE)


def mismatch(
    error: Exception, model: nn.Module, dtype: torch.dtype
) -> str | None:
    """Say which module an error about dtypes comes from, and what mends it.

    Args:
        error (Exception): What a forward pass has raised.
        model (nn.Module): Whose pass it was.
        dtype (torch.dtype): What autocast was to compute in.

    Returns:
        str or None: The text; None of an error of another kind.
    """
    is_of_torch = isinstance(error, (RuntimeError, TypeError, ValueError))
    if not is_of_torch or not _OF_DTYPES.search(str(error)):
        return None
    found = _innermost(error, model)
    if found is None:
        return None
    name, module = found
    said = ' '.join(str(error).split()).rstrip('.')
    text = (
        f'{type(module).__name__} {name or "(the model)"!r} cannot compute in '
        f'{name_of(dtype)}: {said}. '
    )
    if name:
        text += (
            'Let it run in float32: '
            "custom_hooks=[dict(type='mmamp.PrecisionHook', "
            f'rules=[dict(pattern={_pattern(name)!r})])]'
        )
    else:
        text += 'Let its own code cast with .float()'
    if _NUMPY.search(str(error)):
        text += (
            '; or train in float16 (--amp-dtype float16), which numpy has, '
            'other than bfloat16'
        )
    return text


def _pattern(name: str) -> str:
    """Return a regular expression of a module, and of those beside it."""
    parts = [
        r'\d+' if x.isdecimal() else re.escape(x) for x in name.split('.')
    ]
    return r'\.'.join(parts)


def explain_mismatch(
    error: Exception, model: nn.Module, dtype: torch.dtype
) -> None:
    """Tell of a mismatch in the log, and at the end of the traceback.

    The latter where Python can do so, from 3.11 on.

    Args:
        error (Exception): What a forward pass has raised.
        model (nn.Module): Whose pass it was.
        dtype (torch.dtype): What autocast was to compute in.
    """
    text = mismatch(error, model, dtype)
    if text is None or getattr(error, '__notes__', None):
        return
    print_log(text, logger='current', level=logging.ERROR)
    if hasattr(error, 'add_note'):
        error.add_note(text)


def _innermost(
    error: Exception, model: nn.Module
) -> tuple[str, nn.Module] | None:
    """Return the module whose code is nearest to where an error was raised."""
    names = {id(m): all_names[0] for all_names, m in named_modules(model)}
    found = None
    for owner in _owners(error):
        if isinstance(owner, nn.Module) and id(owner) in names:
            found = names[id(owner)], owner
    return found


def _owners(error: Exception) -> Iterator[Any]:
    """Yield what methods in the traceback are of, from the outside in."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame.f_locals.get('self')
        traceback = traceback.tb_next
