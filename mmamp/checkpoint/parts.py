"""Checkpoints in parts: a folder, to which each rank writes what it has.

``torch.distributed.checkpoint`` (DCP) writes and reads the tensors. One of
them, ``outline``, is the checkpoint's structure: what :func:`torch.save` makes
of it with each tensor on the ``meta`` device. So nothing in the folder but
DCP's own index is a pickle, and of that no more than its classes is loaded.
"""

import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

import torch
from mmengine.dist import (
    all_gather_object,
    broadcast_object_list,
    get_rank,
    get_world_size,
    is_main_process,
)
from torch import Tensor

from mmamp.distributed.meeting import who
from mmamp.distributed.sharding import is_sharded, with_items
from mmamp.errors import StorageError, UsageError
from mmamp.utils.memory import is_plain

from .atomic import remove_leftovers, written_whole
from .keys import MODEL_BY_RANK, OPTIMIZER_BY_RANK
from .storage import INDEX, PARTS

_OUTLINE = 'outline'
_Path = tuple[Any, ...]
"""Keys and indices from the top of a checkpoint to what it holds there."""
Layout = Callable[[_Path, Tensor], Tensor | None]
"""What a tensor is dealt out like, if it is; it is given on ``meta``."""


# ---- writing ----------------------------------------------------------------


def outline_of(value: Any) -> Any:
    """Return a copy of containers, each tensor without its numbers.

    Args:
        value (Any): Such as a checkpoint. Tensors of another class than
            torch's own, such as quantised ones, stay what they are.
    """
    if _is_plain(value):
        return torch.empty(value.shape, dtype=value.dtype, device='meta')
    if isinstance(value, (dict, list, tuple)):
        return with_items(value, outline_of)
    return value


def write_parts(content: dict[str, Any], path: str, group: Any) -> None:
    """Write a checkpoint, by all ranks together.

    A sharded tensor is written by who has its parts, any other by the first
    rank that has it. What was in the folder stays until all is written: its
    index, which comes last, makes it a checkpoint.

    Args:
        content (dict): What is in it; on other ranks than the main one, what
            they have of it.
        path (str): Of the folder.
        group (ProcessGroup, optional): To talk over; None for all, or for one
            process.

    Raises:
        StorageError: If a rank cannot write; on all of them.
    """
    tensors = {_key(at): x for at, x in _tensors(content) if not x.is_meta}
    if not is_main_process():
        _write(tensors, *_told(None, group), group)
        return
    tensors[_OUTLINE] = _as_bytes(outline_of(content))
    name = uuid4().hex[:8]
    told = False
    try:
        with written_whole(Path(path, INDEX)) as file:
            told = True
            _write(tensors, *_told((path, name), group), group)
            pickle.dump(_index_of(path, name), file)
    except BaseException as error:
        if not told:
            _told(str(error), group)
        remove_unnamed(path)
        raise
    remove_unnamed(path)


def remove_unnamed(path: str) -> None:
    """Remove what the index of a folder does not name; all, without one.

    Args:
        path (str): Of a checkpoint in parts that nobody is writing.
    """
    folder = Path(path)
    named = set()
    if (folder / INDEX).is_file():
        index = _read_index(path)
        named = {x.relative_path for x in index.storage_data.values()}
    kept = {INDEX, *(PurePosixPath(x).parts[0] for x in named)}
    for child in folder.iterdir():
        if child.is_dir() and child.name not in kept:
            shutil.rmtree(child, ignore_errors=True)
    if not named:
        with suppress(OSError):
            folder.rmdir()


def remove_parts(path: str) -> None:
    """Remove a checkpoint in parts; first that which makes it one.

    Args:
        path (str): Of the folder.
    """
    Path(path, INDEX).unlink()
    remove_unnamed(path)


def remove_leftover_parts(folder: str) -> None:
    """Remove parts that killed processes were writing, and say so.

    Args:
        folder (str): Where checkpoints are.
    """
    for path in Path(folder).glob(f'*{PARTS}'):
        if remove_leftovers(str(path)):
            remove_unnamed(str(path))


def _told(told: Any, group: Any) -> tuple[str, str]:
    """Return where the main process says that parts go.

    Raises:
        StorageError: If they cannot.
    """
    box = [told]
    broadcast_object_list(box, group=group)
    if isinstance(box[0], str):
        raise StorageError(box[0])
    path, name = box[0]
    sees = Path(path).is_dir()
    blind = [
        x
        for x in all_gather_object(
            None if sees else who(get_rank()), group=group
        )
        if x is not None
    ]
    if blind:
        raise StorageError(
            f'{path!r} could not be written: {blind[0]} does not see it, nor '
            f'do {len(blind) - 1} other ranks; checkpoints in parts need a '
            'file system that all machines share'
        )
    return path, name


def _write(
    tensors: dict[str, Tensor], path: str, name: str, group: Any
) -> None:
    """Have DCP write, by all ranks."""
    dcp = _dcp()

    try:
        with _quiet():
            dcp.save(
                tensors,
                storage_writer=dcp.FileSystemWriter(Path(path, name)),
                planner=dcp.DefaultSavePlanner(dedup_save_to_lowest_rank=True),
                process_group=group,
                no_dist=get_world_size() == 1,
            )
    except dcp.CheckpointException as error:
        rank, (cause, _) = next(iter(error.failures.items()))
        raise StorageError(
            f'{path!r} could not be written: rank {rank}: {_said(cause)}. '
            'Nothing of it was left'
        ) from error


def _index_of(path: str, name: str) -> Any:
    """Return the index of what DCP wrote in a folder of the folder."""
    index = _read_index(str(Path(path, name)))
    index.storage_data = {
        key: replace(stored, relative_path=f'{name}/{stored.relative_path}')
        for key, stored in index.storage_data.items()
    }
    Path(path, name, INDEX).unlink()
    return index


def _is_plain(value: Any) -> bool:
    return is_sharded(value) or (
        isinstance(value, Tensor) and (value.is_meta or is_plain(value))
    )


def _dcp() -> Any:
    """Import what takes a while, and is not typed as one."""
    from torch.distributed import checkpoint

    return checkpoint


def _tensors(value: Any, at: _Path = ()) -> Iterator[tuple[_Path, Tensor]]:
    """Yield what DCP writes, and where it is."""
    if _is_plain(value):
        yield at, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, (*at, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _tensors(item, (*at, index))


def _key(at: _Path) -> str:
    """Return a name for DCP, which those who read with its tools see."""
    return '/'.join(map(str, at))


def _as_bytes(value: Any) -> Tensor:
    buffer = BytesIO()
    torch.save(value, buffer)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


# ---- reading ----------------------------------------------------------------

_layout: Layout | None = None


@contextmanager
def dealt_out(layout: Layout) -> Iterator[None]:
    """Have each rank read no more than its parts of tensors.

    Args:
        layout (Callable): See :data:`Layout`.
    """
    global _layout
    _layout = layout
    try:
        yield
    finally:
        _layout = None


def read_parts(
    path: str, device: Any = 'cpu', numbers: bool = True
) -> dict[str, Any]:
    """Read a checkpoint in parts, by each rank for itself.

    Args:
        path (str): Of the folder.
        device (Any): Where whole tensors go; None for the CPU. Defaults to
            ``'cpu'``.
        numbers (bool): Whether tensors are read; else they are on ``meta``.
            Defaults to True.

    Returns:
        dict: Whole tensors, but inside of :func:`dealt_out`. What only other
        ranks need, of as many as there were, is on ``meta``.

    Raises:
        UsageError: If it cannot be read, or is none of mmamp's.
    """
    try:
        return _read(path, device, numbers)
    except UsageError:
        raise
    except Exception as error:
        # Files that are cut short raise whatever the reader met.
        cause = next(iter(getattr(error, 'failures', {}).values()), (error,))
        raise UsageError(
            f'checkpoint {path!r} cannot be read: {_said(cause[0])}'
        ) from error


def _said(error: BaseException) -> str:
    """Return an error's first line."""
    first, *_ = str(error).splitlines() or ['']
    return f'{type(error).__name__}: {first}'


def _read(path: str, device: Any, numbers: bool) -> dict[str, Any]:
    index = _read_index(path)
    if _OUTLINE not in index.state_dict_metadata:
        raise UsageError(
            f'checkpoint {path!r} is a folder of torch.distributed.checkpoint '
            'that mmamp has not written; its format_utils, '
            'dcp_to_torch_save, makes a file of it'
        )
    _check_files(index, path)
    size = index.state_dict_metadata[_OUTLINE].size
    outline = torch.empty(size, dtype=torch.uint8)
    _fill({_OUTLINE: outline}, index, path)
    content: dict[str, Any] = torch.load(
        BytesIO(outline.numpy().tobytes()), weights_only=True
    )
    if not numbers:
        return content
    ranks = len(content.get(OPTIMIZER_BY_RANK, content.get(MODEL_BY_RANK, ())))
    wanted: dict[str, Tensor] = {}

    def place(at: _Path, outline: Tensor) -> Tensor:
        if _is_of_others(at, ranks):
            return outline
        like = _layout(at, outline) if _layout is not None else None
        wanted[_key(at)] = (
            torch.empty_like(outline, device=device or 'cpu')
            if like is None
            else torch.empty_like(like, dtype=outline.dtype)
        )
        return wanted[_key(at)]

    content = _placed(content, place)
    _fill(wanted, index, path)
    return content


def _fill(tensors: dict[str, Tensor], index: Any, path: str) -> None:
    """Have DCP read, by this process alone."""
    dcp = _dcp()

    class Reader(dcp.FileSystemReader):  # type: ignore[name-defined]
        def read_metadata(self, *_: Any, **__: Any) -> Any:
            return index

    with _quiet():
        dcp.load(tensors, storage_reader=Reader(path), no_dist=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out that DCP takes one process for a mistake."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'torch.distributed is disabled')
        yield


def _placed(
    value: Any, place: Callable[[_Path, Tensor], Tensor], at: _Path = ()
) -> Any:
    """Return a copy of containers, with what takes each tensor's place."""
    if _is_plain(value) and value.is_meta:
        return place(at, value)
    if isinstance(value, (dict, list, tuple)):
        keys = iter(value if isinstance(value, dict) else range(len(value)))
        return with_items(
            value, lambda item: _placed(item, place, (*at, next(keys)))
        )
    return value


def _is_of_others(at: _Path, ranks: int) -> bool:
    """Tell whether it is what another rank goes on with, and no other."""
    return (
        ranks == get_world_size()
        and at[0] in (OPTIMIZER_BY_RANK, MODEL_BY_RANK)
        and at[1] != get_rank()
    )


_KNOWN = {
    'torch.distributed.checkpoint.metadata': (
        *('Metadata', 'TensorStorageMetadata', 'BytesStorageMetadata'),
        *('TensorProperties', '_MEM_FORMAT_ENCODING', 'StorageMeta'),
        *('ChunkStorageMetadata', 'MetadataIndex'),
    ),
    'torch.distributed.checkpoint.filesystem': ('_StorageInfo',),
    'torch.serialization': ('_get_layout',),
    'torch': ('Size',),
    'pathlib': ('PosixPath', 'WindowsPath'),
    'pathlib._local': ('PosixPath', 'WindowsPath'),
}
"""What DCP's index consists of."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        is_dtype = module == 'torch' and isinstance(
            getattr(torch, name, None), torch.dtype
        )
        if is_dtype or name in _KNOWN.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f'{INDEX} holds {module}.{name}')


def _read_index(path: str) -> Any:
    """Read DCP's index, without running what it may hold."""
    with open(Path(path, INDEX), 'rb') as file:
        return _Unpickler(file).load()


def _check_files(index: Any, path: str) -> None:
    """Refuse a folder that lacks a file, or the end of one."""
    ends: dict[str, int] = {}
    for stored in index.storage_data.values():
        name = stored.relative_path
        ends[name] = max(ends.get(name, 0), stored.offset + stored.length)
    for name, end in ends.items():
        file = Path(path, name)
        size = file.stat().st_size if file.is_file() else 0
        if size < end:
            raise UsageError(
                f'checkpoint {path!r} cannot be read: {name} has {size} of '
                f'{end} bytes'
            )
