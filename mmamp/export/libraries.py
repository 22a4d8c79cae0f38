"""Packages that ONNX needs."""

from importlib import import_module
from typing import Any

from mmamp.errors import UsageError

INSTALL = "`pip install 'mmamp[export]'`"


def library(name: str) -> Any:
    """Import a package.

    Args:
        name (str): Of the package.

    Raises:
        UsageError: If it cannot be imported.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f'ONNX needs {name}, which cannot be imported ({error}): {INSTALL}'
        ) from None
