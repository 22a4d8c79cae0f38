"""Weights of other codebases: ``python -m mmamp.convert_weights SOURCE CONFIG
OUT``."""

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmamp  # noqa: F401  (registers everything)
from mmamp.checkpoint.atomic import AtomicLocalBackend
from mmamp.checkpoint.keys import CONVERTED_FROM
from mmamp.checkpoint.safe_load import allow_mmengine_globals, read_checkpoint
from mmamp.launcher.arguments import build_convert_parser
from mmamp.launcher.edits import CONVERT, read_config
from mmamp.launcher.mistakes import exit_code
from mmamp.launcher.weights import find_checkpoint, load_weights
from mmamp.weights.format import Format
from mmamp.weights.formats import FORMATS
from mmamp.weights.layouts import EMA, Parts, States, refuse_own, split
from mmamp.weights.reading import read
from mmamp.weights.writing import describe, with_domains, write

from .errors import UsageError
from .registry import MODELS

COMMAND = 'mmamp.convert_weights'
SEED = 0
"""Of the weights that SOURCE has not."""
BESIDE = dict(ema='generator_ema', discriminator='discriminator')
"""Networks that may have a file of their own, by its option."""


def main(argv: list[str] | None = None) -> int:
    """Convert weights, without a GPU.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C.
    """
    args = build_convert_parser(list(FORMATS)).parse_args(argv)
    cfg = None
    try:
        cfg = read_config(args, CONVERT)
        _check_out(args)
        allow_mmengine_globals()
        if args.back is None:
            _read(args, cfg)
        else:
            _write_back(args, cfg)
    except BaseException as error:
        return exit_code(error, COMMAND, cfg, has_log=False)
    return 0


def _check_out(args: argparse.Namespace) -> None:
    if args.format and args.back is not None:
        raise UsageError(
            f'--from {args.format} --back: give the format as --back '
            f'{args.format}'
        )
    beside = {f'--{x}': getattr(args, x) for x in BESIDE if getattr(args, x)}
    files: dict[Path, str] = {}
    for flag, name in {'OUT': args.out, **beside}.items():
        other = files.setdefault(Path(name).resolve(), flag)
        if other != flag:
            raise UsageError(
                f'{flag} {name!r} is {other} too: each is a file of its own'
            )
    outs = [args.out]
    if args.back is not None:
        outs += beside.values()
    for out in map(Path, outs):
        if out.exists():
            raise UsageError(
                f'{str(out)!r} is there already: give the path of a new file'
            )
        if not out.parent.is_dir():
            raise UsageError(f'there is no folder {str(out.parent)!r}')


def _build(cfg: Config) -> Any:
    init_default_scope(cfg.get('default_scope', 'mmamp'))
    torch.manual_seed(SEED)
    return MODELS.build(cfg.model)


def _read(args: argparse.Namespace, cfg: Config) -> None:
    """Make a checkpoint of mmamp's."""
    model = _build(cfg)
    parts = _parts(args, model.state_dict())
    reading = read(model, cfg.model, parts, args.format, args.bgr)
    checkpoint = {
        'state_dict': reading.state,
        'meta': dict(config=cfg.pretty_text),
        CONVERTED_FROM: describe(reading, parts, args.bgr),
    }
    model.load_state_dict(reading.state)
    notes = [*reading.notes, *_about_pixels(model, reading.format)]
    AtomicLocalBackend().save(checkpoint, args.out)
    for note in notes:
        print(f'note: {note}')
    names = ', '.join(parts.states)
    print(f'{reading.format.name} ({names}) -> {args.out}')


def _parts(args: argparse.Namespace, own: Collection[str]) -> Parts:
    """Read SOURCE, and the files beside it."""
    parts = split(_theirs(args.source, own), args.domains)
    for flag, name in BESIDE.items():
        file = getattr(args, flag)
        if file is None:
            continue
        more = split(_theirs(file, own))
        if len(more.states) != 1:
            raise UsageError(
                f'--{flag} {file!r} holds {", ".join(more.states)}, not one '
                'network'
            )
        parts.states[name] = next(iter(more.states.values()))
        parts.rest += more.rest
        parts.details = {**more.details, **parts.details}
    return parts


def _theirs(path: str, own: Collection[str]) -> Any:
    checkpoint = read_checkpoint(find_checkpoint(path), old=True)
    refuse_own(checkpoint, own)
    return checkpoint


def _about_pixels(model: Any, chosen: Format) -> list[str]:
    """Tell that images are of another range, if they are."""
    own = model.data_preprocessor
    mean, std = chosen.pixels
    found = _figures(own, 'mean'), _figures(own, 'std')
    if all(
        set(own_ones) == {wanted}
        for own_ones, wanted in zip(found, chosen.pixels, strict=True)
    ):
        return []
    texts = [', '.join(map(str, dict.fromkeys(x))) or None for x in found]
    return [
        f'its networks work on images with mean={mean} and std={std}; set '
        f'model.data_preprocessor so, where the config has mean={texts[0]} '
        f'and std={texts[1]}, or the pictures will be wrong'
    ]


def _figures(preprocessor: Any, name: str) -> list[float]:
    """Return a number, or one a colour; none if it is not there."""
    value = getattr(preprocessor, name, None)
    if value is None:
        return []
    return [float(x) for x in torch.as_tensor(value).flatten()]


def _write_back(args: argparse.Namespace, cfg: Config) -> None:
    """Make files of the other codebase's."""
    path = find_checkpoint(args.source)
    checkpoint = read_checkpoint(path)
    model = _build(cfg)
    load_weights(model, path)
    details = checkpoint.get(CONVERTED_FROM, {})
    name = args.back or details.get('format')
    if not name:
        raise UsageError(
            f'{path!r} does not say what it was converted from: give --back '
            f'FORMAT, one of {", ".join(FORMATS)}'
        )
    chosen = FORMATS[name]
    if name != details.get('format'):
        details = _own_details(model)
    details = with_domains(chosen, details, args.domains)
    bgr = args.bgr or details.get('bgr', False)
    states = write(model, model.state_dict(), chosen, details, bgr)
    files = _files(args, chosen, states, details)
    for file, content in files.items():
        AtomicLocalBackend().save(content, file)
        print(f'{name} -> {file}')


def _files(
    args: argparse.Namespace,
    chosen: Format,
    states: States,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """Lay networks out in files, by their paths."""
    if chosen.domains:
        for name in [x for x in states if x.endswith(EMA)]:
            del states[name]
            print(f'note: left out: {name}, as {chosen.name} has no averages')
    files = {}
    for flag, network in BESIDE.items():
        file = getattr(args, flag)
        if file is None:
            continue
        if network not in states:
            raise UsageError(f'--{flag}: the checkpoint has no {network}')
        files[file] = chosen.join({network: states.pop(network)}, details)
    if not states:
        raise UsageError(
            'nothing is left for OUT: leave --ema or --discriminator out'
        )
    return {**files, args.out: chosen.join(states, details)}


def _own_details(model: Any) -> dict[str, Any]:
    """Return what a file tells besides its networks."""
    average = getattr(model, 'generator_ema', None)
    return {} if average is None else dict(steps=int(average.steps))


if __name__ == '__main__':
    raise SystemExit(main())
