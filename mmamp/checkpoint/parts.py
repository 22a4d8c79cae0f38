"""Checkpoints in parts: a folder, to which each rank writes what it has.

``torch.distributed.checkpoint`` (DCP) writes and reads the tensors. One of
them, ``outline``, is the checkpoint's structure: what :func:`torch.save` makes
of it with each tensor on the ``meta`` device. All is loaded with
``weights_only=True``; of DCP's index, a pickle, its own classes and no others.
"""

import pickle
import shutil
import warnings
from collections.abc import Callable, Container, Iterator
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
from mmengine.logging import print_log
from torch import Tensor

from mmamp.distributed.meeting import who
from mmamp.distributed.sharding import Place, is_sharded, with_tensors
from mmamp.errors import StorageError, UsageError
from mmamp.utils.memory import is_plain

from .atomic import (
    explained,
    remove_leftovers,
    sync_folder,
    written_whole,
)
from .keys import MODEL_BY_RANK, OPTIMIZER_BY_RANK, RNG_STATES
from .storage import INDEX, PARTS

_OUTLINE = '/outline'
"""Its name; that of no tensor begins so."""
_PREFIX = 'parts-'
"""How folders begin that DCP has written."""
_OF_RANKS = RNG_STATES, OPTIMIZER_BY_RANK, MODEL_BY_RANK
"""Lists with an entry for each rank."""
Layout = Callable[[Place, Tensor], Tensor | None]
"""What a tensor is dealt out like, if it is; it is given on ``meta``."""


# ---- writing ----------------------------------------------------------------


def outline_of(value: Any) -> Any:
    """Return a copy of containers, each tensor without its numbers.

    Args:
        value (Any): Such as a checkpoint. Tensors of another class than
            torch's own, such as quantised ones, stay what they are.
    """

    def outline(_: Place, tensor: Tensor) -> Tensor:
        if not _is_plain(tensor):
            return tensor
        return torch.empty(tensor.shape, dtype=tensor.dtype, device='meta')

    return with_tensors(value, outline)


def write_parts(content: dict[str, Any], path: str, group: Any) -> None:
    """Write a checkpoint, by all ranks together.

    The main one writes all but other ranks' parts of sharded tensors, and what
    they have of their own. What was in the folder stays until all is written:
    its index, which comes last, makes it a checkpoint.

    Args:
        content (dict): What is in it; on other ranks than the main one, what
            they have of it.
        path (str): Of the folder.
        group (ProcessGroup, optional): To talk over; None for all, or for one
            process.

    Raises:
        StorageError: If a rank cannot write; on all of them.
        UsageError: If two tensors have one name.
    """
    if is_main_process():
        _lead(content, path, group)
    else:
        path, name = _agreed(None, group)
        _write(_named(content), path, name, group)
        _heard(None, group)


def _lead(content: dict[str, Any], path: str, group: Any) -> None:
    """Say where the parts go, write, and say what came of it."""
    name = f'{_PREFIX}{uuid4().hex[:8]}'
    is_told = is_written = False
    try:
        tensors = _named(content)
        tensors[_OUTLINE] = _as_bytes(outline_of(content))
        with written_whole(Path(path, INDEX)) as file:
            is_told = True
            _agreed((path, name), group)
            index = _write(tensors, path, name, group)
            is_written = True
            pickle.dump(_index_of(index, name), file)
            Path(path, name, INDEX).unlink()
            sync_folder(Path(path, name))
            sync_folder(Path(path).parent)
    except BaseException as error:
        if not is_told or is_written:
            _say(f'{path!r} could not be written: {_said(error)}', group)
        remove_unnamed(path)
        with suppress(OSError):
            Path(path).rmdir()  # if nothing was there before
        raise
    _say('', group)
    remove_unnamed(path)


def _agreed(told: tuple[str, str] | None, group: Any) -> tuple[str, str]:
    """Return where the main process says that parts go.

    Raises:
        StorageError: If they cannot, or a rank does not see the folder.
    """
    path, name = _heard(told, group)
    try:
        sees = Path(path).is_dir()
    except OSError:
        sees = False
    mine = None if sees else who(get_rank()).rstrip(' :')
    blind = [x for x in all_gather_object(mine, group=group) if x is not None]
    if blind:
        others = f', nor do {len(blind) - 1} others' * (len(blind) > 1)
        raise StorageError(
            f'{path!r} could not be written: {blind[0]} does not see it'
            f'{others}; checkpoints in parts need a file system that all '
            'machines share'
        )
    return path, name


def _say(told: Any, group: Any) -> Any:
    """Tell all ranks what the main one knows; return it."""
    box = [told]
    broadcast_object_list(box, group=group)
    return box[0]


def _heard(told: Any, group: Any) -> Any:
    """Return what the main rank says.

    Raises:
        StorageError: If that is what went wrong.
    """
    told = _say(told, group)
    if told and isinstance(told, str):
        raise StorageError(told)
    return told


def _write(
    tensors: dict[str, Tensor], path: str, name: str, group: Any
) -> Any:
    """Have DCP write, by all ranks; return its index."""
    dcp = _dcp()
    try:
        with _quiet():
            return dcp.save(
                tensors,
                storage_writer=dcp.FileSystemWriter(Path(path, name)),
                planner=dcp.DefaultSavePlanner(dedup_save_to_lowest_rank=True),
                process_group=group,
                no_dist=get_world_size() == 1,
            )
    except dcp.CheckpointException as error:
        rank, (cause, _) = next(iter(error.failures.items()))
        if not isinstance(cause, Exception):
            raise cause from None  # such as Ctrl-C
        said = (
            explained(cause, Path(path))
            if isinstance(cause, OSError)
            else f'{path!r} could not be written: {_said(cause)}'
        )
        found = StorageError(f'{said} (rank {rank}). Nothing of it was left')
        found.errno = getattr(cause, 'errno', None)
        raise found from error


def _index_of(index: Any, name: str) -> Any:
    """Return an index as it is outside of the folder that DCP wrote to."""
    stored = {
        key: replace(x, relative_path=f'{name}/{x.relative_path}')
        for key, x in index.storage_data.items()
    }
    # Without a path of this system's.
    meta = replace(index.storage_meta, checkpoint_id=None)
    return replace(index, storage_data=stored, storage_meta=meta)


# ---- removing ---------------------------------------------------------------


def remove_unnamed(path: str) -> bool:
    """Remove parts that the index of a folder does not name; all, without one.

    Args:
        path (str): Of a checkpoint in parts that nobody is writing.

    Returns:
        bool: Whether there were some. Where the index cannot be read they
        stay.
    """
    folder = Path(path)
    parts = {x.name for x in folder.glob(f'{_PREFIX}*')}
    if (folder / INDEX).is_file():
        try:
            index = _read_index(path)
        except Exception:
            return False  # whoever reads it says what is wrong
        for stored in index.storage_data.values():
            parts.discard(PurePosixPath(stored.relative_path).parts[0])
    for name in parts:
        shutil.rmtree(folder / name, ignore_errors=True)
    if parts:
        with suppress(OSError):
            folder.rmdir()  # if it is empty
    return bool(parts)


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
        if remove_leftovers(str(path)) and remove_unnamed(str(path)):
            print_log(
                f'Removed parts in {path} that no index names: a process that '
                'was killed had been writing, or removing them',
                logger='current',
            )


# ---- tensors, and what they are called --------------------------------------


def _dcp() -> Any:
    """Import what takes a while, and is not typed as one."""
    from torch.distributed import checkpoint

    return checkpoint


def _named(content: dict[str, Any]) -> dict[str, Tensor]:
    """Return what this rank writes, by name."""
    found: dict[str, Tensor] = {}

    def name(at: Place, tensor: Tensor) -> Tensor:
        is_own = is_sharded(tensor) or at[0] in _OF_RANKS
        if (
            _is_plain(tensor)
            and not tensor.is_meta
            and _is_first_copy(tensor)
            and (is_own or is_main_process())
        ):
            if (key := _key(at)) in found:
                raise UsageError(
                    'a checkpoint in parts cannot hold two tensors of one '
                    f'name, {key!r}: keys of {at[:-1]} are equal as text'
                )
            found[key] = tensor
        return tensor

    with_tensors(content, name)
    return found


def _is_first_copy(tensor: Any) -> bool:
    """Tell whether no rank before this one has the same part."""
    if not is_sharded(tensor):
        return True
    at = tensor.device_mesh.get_coordinate()
    return not any(
        where
        for where, place in zip(at, tensor.placements, strict=True)
        if place.is_replicate()
    )


def _key(at: Place) -> str:
    """Return a name for DCP, which those who read with its tools see."""
    return '/'.join(str(x).replace('/', '|') for x in at)


def _is_plain(tensor: Tensor) -> bool:
    return is_sharded(tensor) or tensor.is_meta or is_plain(tensor)


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
    path: str, device: Any = 'cpu', keys: Container[str] | None = None
) -> dict[str, Any]:
    """Read a checkpoint in parts, by each rank for itself.

    Args:
        path (str): Of the folder.
        device (Any): Where whole tensors go; None for the CPU. Defaults to
            ``'cpu'``.
        keys (Container[str], optional): At the top of the checkpoint, whose
            tensors are read; those of others are on ``meta``. Defaults to
            None: all.

    Returns:
        dict: Whole tensors, but inside of :func:`dealt_out`. What only other
        ranks need, of as many as there were, is on ``meta``.

    Raises:
        UsageError: If it cannot be read, or is none of mmamp's.
    """
    try:
        return _read(path, device or 'cpu', keys)
    except UsageError as error:
        cause, why = error, str(error)
    except (Exception, _dcp().CheckpointException) as error:
        # Files that are cut short raise whatever the reader met; DCP's own is
        # no Exception.
        failures = getattr(error, 'failures', {}) or {0: (error, None)}
        cause, _ = next(iter(failures.values()))
        if not isinstance(cause, Exception):
            raise cause from None  # such as Ctrl-C
        why = _cut_short(path) or _said(cause)
    raise UsageError(f'checkpoint {path!r} cannot be read: {why}') from cause


def _said(error: BaseException) -> str:
    """Return an error's first line."""
    first, *_ = [x for x in str(error).splitlines() if x] or ['']
    return f'{type(error).__name__}: {first}'.removesuffix(': ')


def _read(
    path: str, device: Any, keys: Container[str] | None
) -> dict[str, Any]:
    index = _read_index(path)
    if _OUTLINE not in index.state_dict_metadata:
        raise UsageError(
            'it is a folder of torch.distributed.checkpoint that mmamp has '
            'not written; its format_utils, dcp_to_torch_save, makes a file '
            'of it'
        )
    _check_files(index, path)
    size = index.state_dict_metadata[_OUTLINE].size
    outline = torch.empty(size, dtype=torch.uint8)
    _fill({_OUTLINE: outline}, index, path)
    content: dict[str, Any] = torch.load(
        BytesIO(outline.numpy().tobytes()), weights_only=True
    )
    ranks = {x: len(content[x]) for x in _OF_RANKS if x in content}
    wanted: dict[str, Tensor] = {}

    def place(at: Place, outline: Tensor) -> Tensor:
        is_wanted = keys is None or at[0] in keys
        if not outline.is_meta or not is_wanted or _is_of_others(at, ranks):
            return outline
        like = _layout(at, outline) if _layout is not None else None
        wanted[_key(at)] = (
            torch.empty_like(outline, device=device)
            if like is None
            else torch.empty_like(like, dtype=outline.dtype)
        )
        return wanted[_key(at)]

    content = with_tensors(content, place)
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


def _is_of_others(at: Place, ranks: dict[str, int]) -> bool:
    """Tell whether it is what another rank goes on with, and no other."""
    return (
        ranks.get(at[0]) == get_world_size()
        and at[1] != get_rank()
        # FSDP2 deals out the mean of DDP's.
        and not (_layout is not None and 'grads' in at)
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
}
"""What DCP's index consists of."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        is_dtype = module == 'torch' and isinstance(
            getattr(torch, name, None), torch.dtype
        )
        if module.partition('.')[0] == 'pathlib':
            return PurePosixPath  # whose system's path it ever was
        if is_dtype or name in _KNOWN.get(module, ()):
            return super().find_class(module, name)
        raise UsageError(f'its {INDEX} holds {module}.{name}')


def _read_index(path: str) -> Any:
    """Read DCP's index, without running what it may hold."""
    with open(Path(path, INDEX), 'rb') as file:
        return _Unpickler(file).load()


def _check_files(index: Any, path: str) -> None:
    """Refuse a folder that lacks a file."""
    named = {x.relative_path for x in index.storage_data.values()}
    folders = {PurePosixPath(x).parts[0] for x in named}
    there = {
        f'{folder}/{x.name}'
        for folder in folders
        if Path(path, folder).is_dir()
        for x in Path(path, folder).iterdir()
    }
    if missing := sorted(named - there):
        raise UsageError(
            f'{len(missing)} of its {len(named)} files are missing, such as '
            f'{missing[0]}'
        )


def _cut_short(path: str) -> str:
    """Name a file of a folder that has lost its end, if one has."""
    try:
        index = _read_index(path)
    except Exception:
        return f'{INDEX} is cut short, or of something else'
    for stored in index.storage_data.values():
        file = Path(path, stored.relative_path)
        size, end = file.stat().st_size, stored.offset + stored.length
        if size < end:
            return (
                f'{stored.relative_path} is cut short: {size} bytes, where '
                f'{end} are needed'
            )
    return ''
