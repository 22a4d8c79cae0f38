"""Pictures of any size to squares of one size."""

import io
import json
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, ImageOps

from mmamp.utils.checks import check_choice, check_int
from mmamp.utils.consoles import tracked

from .sources import Source, open_source

FORMATS = ('png', 'jpg')
_SETTINGS = 'resize_folder.json'
_UNREADABLE = 'unreadable.txt'
_JPEG_QUALITY = 95


@dataclass
class Resized:
    """What has been done.

    Attributes:
        written (int): Pictures written.
        kept (int): Pictures that an earlier run had written.
        unreadable (list[tuple[str, str]]): Names and errors of the others.
    """

    written: int = 0
    kept: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def resize_pictures(
    source: Path,
    out: Path,
    size: int,
    image_format: str = 'png',
    workers: int | None = None,
    force: bool = False,
) -> Resized:
    """Cut the middle square out of each picture, resize it and write it.

    Resized by Pillow's Lanczos filter, without aliasing; RGB, turned as EXIF
    says. A picture keeps its path below ``source``. A second run with the
    same settings goes on where the first has ended. Names and errors of files
    that cannot be read, if there are any, go to ``unreadable.txt`` in ``out``.

    Args:
        source (Path): A folder, a zip archive, or the folder of an lmdb.
        out (Path): A folder, which need not exist.
        size (int): Height and width in pixels.
        image_format (str): ``'png'`` or ``'jpg'`` (quality 95). Defaults to
            ``'png'``.
        workers (int, optional): Number of processes. Defaults to None: as
            many as there are CPUs.
        force (bool): Whether files in ``out`` may be overwritten. Defaults to
            False.

    Returns:
        Resized: What has been done.

    Raises:
        FileNotFoundError: If there is no ``source``.
        FileExistsError: If ``out`` holds anything but an earlier run with
            the same settings, and ``force`` is not set.
        ImportError: If ``source`` is an lmdb, and ``lmdb`` is not installed.
        ValueError: If an argument is another than these, ``source`` holds no
            pictures, or two of them would have one name in ``out``.
    """
    _check(source, out, size, image_format, workers)
    names = _outputs(open_source(source).names(), image_format)
    settings = dict(
        source=str(source.resolve()), size=size, image_format=image_format
    )
    if force:
        # All at once: were this run cut short, the next one could not tell
        # them from its own.
        for path in names.values():
            (out / path).unlink(missing_ok=True)
    else:
        _check_empty(out, settings)
    out.mkdir(parents=True, exist_ok=True)
    (out / _SETTINGS).write_text(json.dumps(settings))
    done = {name for name, path in names.items() if (out / path).exists()}
    todo = [name for name in names if name not in done]
    result = Resized(kept=len(done))
    task = partial(_resize, out=out, size=size, image_format=image_format)
    with ProcessPoolExecutor(
        workers, initializer=_open_in_worker, initargs=(source,)
    ) as pool:
        errors = pool.map(task, todo, [names[n] for n in todo], chunksize=16)
        for name, error in tracked(
            zip(todo, errors, strict=True), str(out), len(todo)
        ):
            if error is None:
                result.written += 1
            else:
                result.unreadable.append((name, error))
    note = out / _UNREADABLE
    # An earlier run may have left some that have been mended since.
    note.unlink(missing_ok=True)
    if result.unreadable:
        lines = [f'{name}\t{error}\n' for name, error in result.unreadable]
        note.write_text(''.join(lines))
    return result


def _check(
    source: Path,
    out: Path,
    size: int,
    image_format: str,
    workers: int | None,
) -> None:
    check_int('size', size)
    if workers is not None:
        check_int('workers', workers)
    check_choice('image_format', image_format, FORMATS)
    # Its pictures would be taken for the source's the next time.
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(
            f'{str(out)!r} is in {str(source)!r}: choose a folder elsewhere'
        )


def _outputs(names: Sequence[str], ending: str) -> dict[str, str]:
    """Map names in the source to those in the folder that is written to."""
    found: dict[str, str] = {}
    for name in names:
        path = str(PurePosixPath(name).with_suffix(f'.{ending}'))
        if path in found:
            raise ValueError(
                f'{found[path]!r} and {name!r} would both become {path!r}'
            )
        found[path] = name
    return {name: path for path, name in found.items()}


def _check_empty(out: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder that is not empty, nor of a run with these settings."""
    if not out.exists() or not any(out.iterdir()):
        return
    note = out / _SETTINGS
    earlier = json.loads(note.read_text()) if note.is_file() else None
    if earlier != settings:
        was = f'with {earlier}' if earlier else 'by something else'
        raise FileExistsError(
            f'{str(out)!r} is not empty; it was written {was}, not with '
            f'{settings}. --force overwrites files of the same names'
        )


_source: Source


def _open_in_worker(path: Path) -> None:
    # Neither a zip archive nor an lmdb may be shared by processes.
    global _source
    _source = open_source(path)
    # Ctrl-C goes to all: the first process has the others end what they
    # have begun.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _resize(
    name: str, path: str, out: Path, size: int, image_format: str
) -> str | None:
    """Write one picture, and return the error if it cannot be read."""
    try:
        with Image.open(io.BytesIO(_source.read(name))) as image:
            if image.mode[0] in 'IF':
                # Pillow would clip what is above 255.
                return f'more than 8 bits a channel (mode {image.mode})'
            picture = ImageOps.exif_transpose(image).convert('RGB')
    except Exception as error:
        # Pillow's decoders raise whatever they like.
        return f'{type(error).__name__}: {error}'
    square = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    target = out / path
    target.parent.mkdir(parents=True, exist_ok=True)
    # Under another name until it is whole, for the run that goes on.
    part = target.with_name(f'{target.name}.part')
    square.save(
        part,
        'PNG' if image_format == 'png' else 'JPEG',
        **({} if image_format == 'png' else dict(quality=_JPEG_QUALITY)),
    )
    os.replace(part, target)
    return None
