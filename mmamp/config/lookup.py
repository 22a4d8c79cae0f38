"""MMEngine's way to the configs of mmamp: ``_base_`` and ``get_config``."""

import importlib
from contextlib import suppress
from pathlib import Path

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import package_utils

from .packages import package_folder

_their_is_installed = package_utils.is_installed
_their_get_installed_path = package_utils.get_installed_path
# Where MMEngine has imported the two to.
_USERS = (
    'mmengine.utils',
    'mmengine.utils.package_utils',
    'mmengine.config.config',
    'mmengine.hub.hub',
)


def enable_lookup() -> None:
    """Let ``_base_`` and ``get_config`` of MMEngine find mmamp's configs.

    MMEngine looks into the packages of a list of its own, which mmamp is put
    on, and up to 0.10.7 finds them with ``pkg_resources``, which setuptools 82
    has no more, and which takes the wrong folder for an editable install. Two
    functions of MMEngine's that ask it get an answer in these two cases;
    whatever they find by themselves stays theirs.
    """
    MODULE2PACKAGE.setdefault('mmamp', 'mmamp')
    for module in map(importlib.import_module, _USERS):
        for ours in (is_installed, get_installed_path):
            if hasattr(module, ours.__name__):
                setattr(module, ours.__name__, ours)


def is_installed(package: str) -> bool:
    """Tell whether there is such a package, as MMEngine's function says it.

    Args:
        package (str): Name of a distribution or of a module.
    """
    # Of pkg_resources.
    with suppress(ModuleNotFoundError):
        return bool(_their_is_installed(package))
    return package_folder(package) is not None


def get_installed_path(package: str) -> str:
    """Return the folder of a package, as MMEngine's function says it.

    Args:
        package (str): Name of a distribution or of a module.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    found = None
    with suppress(ModuleNotFoundError):
        found = _their_get_installed_path(package)
    if found is None or not Path(found).exists():
        folder = package_folder(package)
        if folder is None:
            raise ModuleNotFoundError(f'{package} is not installed')
        found = str(folder)
    return found
