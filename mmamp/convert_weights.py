"""Weights of other codebases: ``python -m mmamp.convert_weights SOURCE CONFIG
OUT``."""

import argparse
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmamp  # noqa: F401  (registers everything)
from mmamp.checkpoint.atomic import AtomicLocalBackend
from mmamp.checkpoint.keys import CONVERTED_FROM
from mmamp.checkpoint.safe_load import allow_mmengine_globals, read_checkpoint
from mmamp.launcher.arguments import add_options
from mmamp.launcher.edits import SAMPLE, read_config
from mmamp.launcher.mistakes import exit_code
from mmamp.launcher.weights import find_checkpoint, load_weights
from mmamp.weights.formats import FORMATS
from mmamp.weights.layouts import Parts, split
from mmamp.weights.reading import read
from mmamp.weights.writing import describe, write

from .errors import UsageError
from .registry import MODELS

COMMAND = 'mmamp.convert_weights'
SEED = 0
"""Of the weights that SOURCE has not."""


def main(argv: list[str] | None = None) -> int:
    """Convert weights, without a GPU.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C.
    """
    args = build_parser().parse_args(argv)
    cfg = None
    try:
        cfg = read_config(args, SAMPLE)
        _check_out(args)
        allow_mmengine_globals()
        if args.back is None:
            _read(args, cfg)
        else:
            _write_back(args, cfg)
    except BaseException as error:
        return exit_code(error, COMMAND, cfg, has_log=False)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Build the command line."""
    parser = argparse.ArgumentParser(
        description='read published weights of another codebase into a '
        "config's model, or write them back"
    )
    parser.add_argument(
        'source',
        help='the file to read: a checkpoint or state dict of the other '
        'codebase; with --back one of mmamp, or a work dir: its latest one',
    )
    parser.add_argument('config', help='path of the config file')
    parser.add_argument('out', help='path of the new file')
    parser.add_argument(
        '--from',
        dest='format',
        choices=list(FORMATS),
        metavar='FORMAT',
        help=f'what SOURCE is: {", ".join(FORMATS)} (default: that whose '
        'names the keys are)',
    )
    parser.add_argument(
        '--back',
        nargs='?',
        const='',
        choices=['', *FORMATS],
        metavar='FORMAT',
        help='write weights of mmamp for the other codebase; without FORMAT '
        'as what they were converted from',
    )
    parser.add_argument(
        '--ema',
        metavar='FILE',
        help='where the average of the generator is, if it has a file of its '
        'own, such as G_ema.pth',
    )
    parser.add_argument(
        '--discriminator',
        metavar='FILE',
        help='where the discriminator is, if it has a file of its own, such '
        'as D.pth',
    )
    parser.add_argument(
        '--bgr',
        action='store_true',
        help='their networks make and see BGR images, as those that MMagic '
        'and MMGeneration have trained on files do; ours are of RGB',
    )
    parser.add_argument(
        '--domains',
        nargs=2,
        metavar=('A', 'B'),
        help='names of the domains of two generators: A is that of the '
        "config's inputs",
    )
    add_options(parser)
    return parser


def _check_out(args: argparse.Namespace) -> None:
    if args.format and args.back is not None:
        raise UsageError(
            f'--from {args.format} --back: give the format as --back '
            f'{args.format}'
        )
    outs = [args.out]
    if args.back is not None:
        outs += [x for x in (args.ema, args.discriminator) if x]
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
    parts = _parts(args)
    model = _build(cfg)
    reading = read(model, cfg.model, parts, args.format, args.bgr)
    checkpoint = {
        'state_dict': reading.state,
        'meta': dict(config=cfg.pretty_text),
        CONVERTED_FROM: describe(reading, parts, args.domains, args.bgr),
    }
    model.load_state_dict(reading.state)
    AtomicLocalBackend().save(checkpoint, args.out)
    for note in [*reading.notes, *_about_pixels(model, reading.format)]:
        print(f'note: {note}')
    names = ', '.join(parts.states)
    print(f'{reading.format.name} ({names}) -> {args.out}')


def _parts(args: argparse.Namespace) -> Parts:
    """Read SOURCE, and the files beside it."""
    parts = split(_theirs(args.source), args.domains)
    for flag, name in (
        ('ema', 'generator_ema'),
        ('discriminator', 'discriminator'),
    ):
        file = getattr(args, flag)
        if file is None:
            continue
        more = split(_theirs(file), args.domains)
        if len(more.states) != 1:
            raise UsageError(
                f'--{flag} {file!r} holds {", ".join(more.states)}, not one '
                'network'
            )
        parts.states[name] = next(iter(more.states.values()))
        parts.rest += more.rest
    return parts


def _theirs(path: str) -> Any:
    return read_checkpoint(find_checkpoint(path), old=True)


def _about_pixels(model: Any, chosen: Any) -> list[str]:
    """Tell that images are of another range, if they are."""
    own = model.data_preprocessor
    mean, std = chosen.pixels
    found = getattr(own, 'mean', None), getattr(own, 'std', None)
    if found == (mean, std):
        return []
    return [
        f'its networks work on images with mean={mean} and std={std}; set '
        f'model.data_preprocessor so, where the config has mean={found[0]} '
        f'and std={found[1]}, or the pictures will be wrong'
    ]


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
    if args.domains:
        details = {**details, 'domains': args.domains}
    bgr = args.bgr or details.get('bgr', False)
    states = write(model, model.state_dict(), chosen, details, bgr)
    files = {}
    for flag, network in (
        ('ema', 'generator_ema'),
        ('discriminator', 'discriminator'),
    ):
        file = getattr(args, flag)
        if file is None:
            continue
        if network not in states:
            raise UsageError(f'--{flag}: the checkpoint has no {network}')
        files[file] = states.pop(network)
    files[args.out] = chosen.join(states, details)
    for file, content in files.items():
        AtomicLocalBackend().save(content, file)
        print(f'{name} -> {file}')


def _own_details(model: Any) -> dict[str, Any]:
    """Return what a file tells besides its networks."""
    average = getattr(model, 'generator_ema', None)
    return {} if average is None else dict(steps=int(average.steps))


if __name__ == '__main__':
    raise SystemExit(main())
