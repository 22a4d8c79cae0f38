"""The command line of the migration, and how it ends."""

import argparse
import os
import sys
from pathlib import Path

from mmamp.errors import INTERRUPTED, USAGE, UsageError

from .toolboxes import PACKAGES

COMMAND = 'mmamp.migration'
EXTRA = ('libcst', 'rich')


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name.replace('__main__.py', COMMAND),
        description='Rewrite 0.x configs and code for 1.x',
        epilog='exit codes: 0 all is converted; 1 some is left to do, or '
        '--verify found a difference; 2 there is input that cannot be used',
    )
    kinds = parser.add_subparsers(
        dest='kind', required=True, metavar='{config,code,project}'
    )
    config = kinds.add_parser('config', help='rewrite config files')
    _add_common(config)
    config.add_argument(
        '--verify',
        action='store_true',
        help='load the result, build its optimizers on a stub model, and '
        'show their settings before and after (needs torch and MMEngine)',
    )
    _add_ends(config)
    code = kinds.add_parser('code', help='rewrite models and other modules')
    _add_common(code)
    project = kinds.add_parser(
        'project',
        help='rewrite configs and modules that belong together, each on the '
        'ground of the others',
    )
    _add_common(project)
    _add_ends(project)
    return parser


def _add_ends(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--ends-by-hand',
        action='store_true',
        help='let linear and constant warm-up and poly end a step early, as '
        'configs do that were written for 1.x (default: the learning rate of '
        'each step is that of 0.x)',
    )


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError('an empty path')
    return Path(text)


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no number from 1 on')
    return number


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'paths',
        nargs='+',
        type=_path,
        metavar='PATH',
        help='a Python file, or a folder: all Python files in it, but not '
        'those in hidden folders',
    )
    parser.add_argument(
        '--target',
        default='',
        choices=list(PACKAGES),
        metavar='TOOLBOX',
        help='what the result is for, which has registries and names of its '
        f'own: {", ".join(PACKAGES)} (default: what default_scope and '
        'custom_imports of a config name; of modules mmamp)',
    )
    parser.add_argument(
        '-j',
        '--jobs',
        type=_count,
        default=1,
        metavar='N',
        help='processes (default: 1); the result is the same',
    )
    parser.add_argument(
        '--json',
        action='store_true',
        help='print all that there is to say as JSON, and nothing else',
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        '-o',
        '--output',
        metavar='PATH',
        help='the file to write, or for a folder the folder that gets the '
        'same tree; what is there is overwritten',
    )
    where.add_argument(
        '--in-place', action='store_true', help='rewrite the files themselves'
    )
    where.add_argument(
        '--diff',
        action='store_true',
        help='write nothing, and show what would change, as `patch -p1` and '
        '`git apply` take it (default: a single file is printed; of several, '
        'only the report)',
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command line of the migration.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0 if all is converted, 1 if some is left to do or the
        verification found a difference, 2 for input that cannot be used, 130
        after Ctrl-C.
    """
    args = build_parser().parse_args(argv)
    if args.json and args.diff:
        return _complain('--json and --diff both print: take one of them')
    try:
        from .command import run

        return run(args)
    except UsageError as error:
        return _complain(str(error))
    except ImportError as error:
        name = (error.name or '').partition('.')[0]
        if name not in EXTRA:
            raise
        return _complain(
            f"{name} is not installed: `pip install 'mmamp[migration]'`, or "
            "in a checkout `pip install -e '.[migration]'`"
        )
    except BrokenPipeError:
        # Who reads has seen enough; Python must not flush on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return USAGE
    except KeyboardInterrupt:
        print('Interrupted: no file is half written.', file=sys.stderr)
        return INTERRUPTED


def _complain(message: str) -> int:
    print(f'{COMMAND}: error: {message}', file=sys.stderr)
    return USAGE
