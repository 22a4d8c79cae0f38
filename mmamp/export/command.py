"""The command."""

import argparse
from pathlib import Path
from textwrap import shorten
from typing import BinaryIO

from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

import mmamp  # noqa: F401  (registers everything)
from mmamp.checkpoint.atomic import written_whole
from mmamp.checkpoint.safe_load import load_safely_only
from mmamp.checkpoint.storage import Storage, is_remote
from mmamp.errors import FAILED, UsageError
from mmamp.launcher.arguments import build_export_parser
from mmamp.launcher.edits import EXPORT, read_config
from mmamp.launcher.mistakes import complain, exit_code
from mmamp.launcher.storage import storage_of
from mmamp.launcher.truncation import truncate
from mmamp.launcher.weights import find_checkpoint, load_weights, number_in
from mmamp.registry import MODELS

from .comparison import (
    BOUND,
    DifferenceError,
    largest_difference,
    results_of,
)
from .format import Export, Format, quietly
from .inputs import Result
from .libraries import INSTALL
from .metadata import Metadata, describe, read_metadata
from .network import baked, graph_of, network_name, network_of
from .onnx import ONNX
from .signature import inputs_of
from .state_dict import StateDict
from .torch_export import TorchExport
from .torchscript import TorchScript

COMMAND = 'mmamp.export'
FORMATS: dict[str, Format] = dict(
    onnx=ONNX(),
    torchscript=TorchScript(),
    torch_export=TorchExport(),
    state_dict=StateDict(),
)
"""By the names that ``--format`` has."""
LONGEST = 500
"""Characters of what torch says of a network that it cannot export."""


def main(argv: list[str] | None = None) -> int:
    """Export a generator.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 1 if the file does not do what the model does, 2
        for a mistake of the user's, 130 after Ctrl-C.
    """
    args = build_export_parser(list(FORMATS)).parse_args(argv)
    load_safely_only()
    cfg = None
    try:
        cfg = read_config(args, EXPORT)
        storage = storage_of(cfg)
        checkpoint = find_checkpoint(args.checkpoint, storage)
        export(cfg, checkpoint, storage, args)
    except DifferenceError as error:
        complain(f'nothing was written: {error}', COMMAND)
        return FAILED
    except BaseException as error:
        return exit_code(error, COMMAND, cfg, has_log=False)
    return 0


def export(
    cfg: Config, checkpoint: str, storage: Storage, args: argparse.Namespace
) -> None:
    """Write a file, and compare what it does with the model.

    Args:
        cfg (Config): The config.
        checkpoint (str): Path of the file.
        storage (Storage): Where it is.
        args (argparse.Namespace): The command line.

    Raises:
        UsageError: If the network cannot be exported so.
        DifferenceError: If the file does not do what the model does.
    """
    init_default_scope(cfg.get('default_scope', 'mmamp'))
    model = MODELS.build(cfg.model).eval()
    meta = load_weights(model, checkpoint, storage)
    if args.truncation is not None:
        truncate(model, args.truncation)
    name = network_name(model, args.network)
    form = FORMATS[args.format]
    default = f'{Path(args.config).stem}_{name}{form.suffix}'
    path = _checked_path(args.out or default, default, args.format)

    network, is_average = network_of(model, name, use_average=not args.raw)
    if is_average:
        model.estimate_statistics()
    size = None if args.size is None else tuple(args.size)
    inputs = inputs_of(model, network, cfg, size, args.dynamic_batch)
    graph = graph_of(network, inputs)
    # Of the network as training has it, before it is made plain.
    wanted = results_of(graph, inputs, type(network).__name__)
    metadata = describe(
        model,
        cfg,
        inputs,
        wanted[0],
        config=Path(args.config).stem,
        checkpoint=Path(checkpoint).name,
        iteration=number_in(meta, 'iter'),
        network=name,
        weights='average' if is_average else 'raw',
    )

    def fresh() -> tuple[nn.Module, nn.Module]:
        built = MODELS.build(cfg.model)
        plain = baked(network_of(built, name, not args.raw)[0])
        return plain, graph_of(plain, inputs)

    plain = baked(network)
    graph = graph_of(plain, inputs)
    given = Export(plain, graph, inputs, fresh)
    _write(path, args.format, given, wanted, metadata)


def _checked_path(out: str, default: str, kind: str) -> Path:
    """Return where the file goes, where nothing else is.

    Args:
        out (str): What the user says: a file, or the folder that it is in.
        default (str): The file's name.
        kind (str): The name of its format.
    """
    suffix = FORMATS[kind].suffix
    if is_remote(out):
        raise UsageError(
            f'{out!r} is no path on a disk, where exported files go: give '
            'one, and copy the file'
        )
    path = Path(out).expanduser()
    if path.is_dir():
        path = path / default
    if path.suffix != suffix:
        raise UsageError(
            f'{str(path)!r} is no folder, and a file of --format {kind} ends '
            f'with {suffix!r}'
        )
    if path.exists() and (path.is_dir() or read_metadata(path) is None):
        raise UsageError(
            f'{str(path)!r} is there already, and mmamp.export has not '
            'written it: give another path'
        )
    return path


def _write(
    path: Path,
    kind: str,
    given: Export,
    wanted: list[Result],
    metadata: Metadata,
) -> None:
    """Write a file under its name, once it does what the model does."""
    form = FORMATS[kind]
    with quietly():
        try:
            made = form.made(given)
        except UsageError:
            raise
        except Exception as error:  # whatever torch cannot trace
            raise UsageError(
                f'{type(given.network).__name__} cannot be exported with '
                f'--format {kind}: {_reason(error)}'
            ) from error
        with written_whole(path) as file:
            form.save(made, file, metadata)
            file.flush()
            with open(file.name, 'rb') as written:
                difference = _difference(form, written, given, wanted)
    size = path.stat().st_size / 2**20
    weights = metadata['weights']
    print(
        f'Wrote {path} ({size:.1f} MiB): {metadata["network"]}, '
        f'{weights}, iteration {metadata["iteration"]}'
    )
    if difference is None:
        print(
            'It was not compared with the model, for which onnxruntime is '
            f'needed: {INSTALL}'
        )
    else:
        nums = ' and '.join(str(len(x.images)) for x in wanted)
        print(
            f'Largest difference from the model: {difference:.1e} of the '
            f'largest value (bound {BOUND:.0e}), at batch size {nums}'
        )


def _difference(
    form: Format, written: BinaryIO, given: Export, wanted: list[Result]
) -> float | None:
    """Return how much a file differs; None if it cannot be run here."""
    try:
        run = form.loaded(written, given)
    except UsageError:
        raise
    except Exception as error:  # whatever its reader refuses
        raise DifferenceError(
            f'it cannot be loaded again: {_reason(error)}'
        ) from error
    return None if run is None else largest_difference(run, wanted)


def _reason(error: BaseException) -> str:
    """Say in a line what was first wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return shorten(str(error) or repr(error), LONGEST)
