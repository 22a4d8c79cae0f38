"""CIFAR-10's python archive to folders of PNGs."""

import codecs
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmamp.utils.consoles import tracked

# What the published files hold beside lists, dicts, strings and numbers. A
# pickle can name any function there is, and loading it calls that.
_reconstruct = np.empty(0).__reduce__()[0]
_ALLOWED = {
    ('numpy', 'dtype'): np.dtype,
    ('numpy', 'ndarray'): np.ndarray,
    # Where arrays are put together: its name in numpy 1 and in numpy 2.
    ('numpy.core.multiarray', '_reconstruct'): _reconstruct,
    ('numpy._core.multiarray', '_reconstruct'): _reconstruct,
    # How Python 3 writes bytes in the protocol of Python 2.
    ('_codecs', 'encode'): codecs.encode,
}
_TRAIN = [f'data_batch_{i}' for i in range(1, 6)]
_FILES = ['batches.meta', *_TRAIN, 'test_batch']


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise ValueError(
                f'a file of CIFAR-10 holds {module}.{name}, which the '
                'published ones do not: it is not loaded'
            )
        return _ALLOWED[module, name]


def convert_cifar10(source: Path, out: Path, force: bool = False) -> int:
    """Write CIFAR-10 as PNGs in a folder for each class.

    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    ``out/train/cat/00001.png`` and so on, numbered as in the data: what
    ``ImageFolderDataset(data_root='out/train', with_labels=True)`` reads.

    Args:
        source (Path): ``cifar-10-python.tar.gz``, or the folder in it.
        out (Path): Where ``train`` and ``test`` go.
        force (bool): Whether pictures that are there may be overwritten.
            Defaults to False.

    Returns:
        int: Number of pictures written.

    Raises:
        FileNotFoundError: If there is no ``source``, or a file is not in it.
        FileExistsError: If ``out`` is not empty and ``force`` is not set.
        ValueError: If a file is not what CIFAR-10 has.
    """
    if not source.exists():
        raise FileNotFoundError(f'{str(source)!r} does not exist')
    if out.exists() and any(out.iterdir()) and not force:
        raise FileExistsError(
            f'{str(out)!r} is not empty; --force overwrites what is there'
        )
    files = _read_folder(source) if source.is_dir() else _read_tar(source)
    names = _class_names(_load(files['batches.meta'], 'batches.meta'))
    parts = dict(train=_TRAIN, test=['test_batch'])
    # All of it is read before anything is written.
    batches = {
        part: [_batch(_load(files[f], f), f, len(names)) for f in of]
        for part, of in parts.items()
    }
    written = 0
    for part, of in batches.items():
        images = np.concatenate([pictures for pictures, _ in of])
        labels = [label for _, some in of for label in some]
        for name in set(labels):
            (out / part / names[name]).mkdir(parents=True, exist_ok=True)
        for i, label in tracked(enumerate(labels), part, len(labels)):
            path = out / part / names[label] / f'{i:05}.png'
            # Under another name until it is whole.
            unfinished = path.with_suffix('.part')
            Image.fromarray(images[i]).save(unfinished, 'PNG')
            os.replace(unfinished, path)
        written += len(labels)
    return written


def _read_folder(folder: Path) -> dict[str, bytes]:
    inner = folder / 'cifar-10-batches-py'
    folder = inner if inner.is_dir() else folder
    missing = [f for f in _FILES if not (folder / f).is_file()]
    if missing:
        raise FileNotFoundError(f'{str(folder)!r} lacks {missing}')
    return {f: (folder / f).read_bytes() for f in _FILES}


def _read_tar(path: Path) -> dict[str, bytes]:
    found = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                name = Path(member.name).name
                if file is not None and name in _FILES:
                    found[name] = file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(
            f'cannot read {str(path)!r} as a tar archive: {error}'
        ) from error
    missing = [f for f in _FILES if f not in found]
    if missing:
        raise FileNotFoundError(f'{str(path)!r} lacks {missing}')
    return found


def _load(content: bytes, name: str) -> dict[bytes, Any]:
    try:
        # The published files are of Python 2.
        loaded = _Unpickler(io.BytesIO(content), encoding='bytes').load()
    except ValueError:
        raise
    except Exception as error:
        # A pickle that is broken raises whatever it likes.
        raise ValueError(f'cannot read {name}: {error}') from error
    if not isinstance(loaded, dict):
        raise ValueError(
            f'{name} should hold a dict, but holds {type(loaded).__name__}'
        )
    # Those that Python 3 wrote have strings for keys.
    return {
        k if isinstance(k, bytes) else str(k).encode(): v
        for k, v in loaded.items()
    }


def _class_names(meta: dict[bytes, Any]) -> list[str]:
    names = [
        name.decode() if isinstance(name, bytes) else str(name)
        for name in meta.get(b'label_names', [])
    ]
    # They become folders: none may lead elsewhere.
    if not names or any(n in ('', '..') or Path(n).name != n for n in names):
        raise ValueError(
            f'batches.meta should name the classes, but gives {names}'
        )
    return names


def _batch(
    content: dict[bytes, Any], name: str, num_classes: int
) -> tuple[np.ndarray, list[int]]:
    """Return pictures, uint8 of shape (N, 32, 32, 3), RGB, and labels."""
    data, labels = content.get(b'data'), content.get(b'labels')
    if not (
        isinstance(data, np.ndarray)
        and data.dtype == np.uint8
        and data.ndim == 2
        and data.shape[1] == 3 * 32 * 32
        and isinstance(labels, list)
        and len(labels) == len(data)
        and set(labels) <= set(range(num_classes))
    ):
        raise ValueError(
            f'{name} should hold `data`, uint8 of shape (N, 3072), and N '
            f'`labels` below {num_classes}'
        )
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
