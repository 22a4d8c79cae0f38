"""Configs in installed packages: ``'mmamp::dcgan/dcgan_digits-32x32.py'``."""

import importlib.util
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def config_file(name: str) -> Path:
    """Return the file of a config, which may be in an installed package.

    Args:
        name (str): A path, or ``'package::path'``.

    Returns:
        Path: It need not exist.

    Raises:
        ValueError: If there is no such package, or it has no configs.
    """
    package, separator, path = name.partition('::')
    if not separator:
        return Path(name)
    folder = package_folder(package)
    if folder is None:
        raise ValueError(f'{name!r}: there is no package {package!r}')
    configs = folder / '.mim' / 'configs'
    if not configs.is_dir():
        raise ValueError(
            f'{name!r}: the package {package!r} has no configs in '
            f'{str(configs)!r}'
        )
    return configs / path


def package_folder(name: str) -> Path | None:
    """Where a package is.

    Args:
        name (str): Of its distribution, or of its module.

    Returns:
        Path: None if it is not installed.
    """
    module = name
    with suppress(PackageNotFoundError, ValueError):
        modules = distribution(name).read_text('top_level.txt') or name
        module = (modules.split() or [name])[0]
    try:
        spec = importlib.util.find_spec(module)
    except (ValueError, ModuleNotFoundError):
        return None  # no name of a module
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent
