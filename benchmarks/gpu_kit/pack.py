"""What a machine without a network lacks, in one folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

REQUIREMENTS = Path('requirements/gpu_kit.txt')
WHEELS = Path('gpu_kit')
LIMIT = 60 * 2**20
"""Bytes of the wheels and the checkout together."""

# Of Python 3.12 on x86-64, whatever this one is.
_TARGET = [
    *('--python-version', '3.12', '--implementation', 'cp'),
    *(
        word
        for libc in ('2_28', '2_27', '2_17', '2014', '2_5', '1')
        for word in (
            '--platform',
            f'manylinux{"" if libc in ("2014", "1") else "_"}{libc}_x86_64',
        )
    ),
]


class PackError(Exception):
    """What cannot be packed."""


def download() -> None:
    """Put the wheels into their folder, in place of those that are there.

    Raises:
        PackError: If pip does not find them all.
    """
    shutil.rmtree(WHEELS, ignore_errors=True)
    WHEELS.mkdir()
    _pip(
        *('download', '--no-deps', '--only-binary=:all:', *_TARGET),
        *('-d', str(WHEELS), '-r', str(REQUIREMENTS)),
    )


def install(folder: Path) -> None:
    """Put the packages into a folder, without a network.

    Args:
        folder (Path): That is put into ``PYTHONPATH``. An environment of its
            own would not see what the environment of this Python has.

    Raises:
        PackError: If there are no wheels, or pip fails.
    """
    wheels = sorted(map(str, WHEELS.glob('*.whl')))
    if not wheels:
        raise PackError(f'there are no wheels in {WHEELS}/: pack them first')
    _pip(
        *('install', '--no-index', '--no-deps', '--no-compile'),
        *('--target', str(folder), *wheels),
    )


def _pip(*args: str) -> None:
    command = [sys.executable, '-m', 'pip', '--quiet', *args]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        raise PackError(f'pip {args[0]} failed')


def checkout() -> list[Path]:
    """List the files that git has or would have."""
    command = ['git', 'ls-files', '-z', '--cached', '--others']
    out = subprocess.run(
        [*command, '--exclude-standard'],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [Path(x) for x in out.split('\0') if x]


def num_bytes(paths: Iterable[Path]) -> int:
    """Add up what files take; a link takes what it says."""
    return sum(os.lstat(x).st_size for x in paths if os.path.lexists(x))
