"""One file of a checkpoint in parts: ``python -m mmamp.dcp_to_pth FOLDER``."""

import argparse
from pathlib import Path

from mmamp.checkpoint.atomic import AtomicLocalBackend
from mmamp.checkpoint.parts import read_parts
from mmamp.checkpoint.safe_load import allow_mmengine_globals
from mmamp.checkpoint.storage import INDEX, PARTS, is_in_parts, missing
from mmamp.launcher.mistakes import exit_code

from .errors import UsageError

COMMAND = 'mmamp.dcp_to_pth'


def main(argv: list[str] | None = None) -> int:
    """Convert a checkpoint of ``CheckpointHook(save_format='dcp')``.

    In one process, without a GPU, with room in memory for all of it.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        description='make one file of a checkpoint in parts, as MMEngine has '
        'them'
    )
    parser.add_argument('folder', help='such as work_dirs/gan/iter_1000.dcp')
    parser.add_argument(
        'file',
        nargs='?',
        help='where it goes (default: beside the folder, iter_1000.pth)',
    )
    parser.add_argument(
        '--weights-only',
        action='store_true',
        help='without what only training needs, such as optimizers',
    )
    args = parser.parse_args(argv)
    try:
        file = convert(args.folder, args.file, args.weights_only)
    except BaseException as error:
        return exit_code(error, COMMAND, None, has_log=False)
    size = Path(file).stat().st_size / 2**20
    print(f'Wrote {file} ({size:.1f} MiB)')
    return 0


def convert(folder: str, file: str | None, weights_only: bool) -> str:
    """Write the file; return its path.

    Args:
        folder (str): The checkpoint in parts.
        file (str, optional): Where it goes; None for beside the folder.
        weights_only (bool): Whether it has ``state_dict`` and ``meta`` alone.

    Raises:
        UsageError: If the folder is none, or there is such a file.
    """
    source = Path(folder).expanduser()
    if not is_in_parts(str(source)):
        raise UsageError(
            f'{folder!r} is a file, but a checkpoint in parts is a folder'
            if source.is_file()
            else missing(folder)
            if source.suffix == PARTS or not source.exists()
            else f'{folder!r} is no checkpoint in parts: it has no {INDEX}'
        )
    path = Path(file).expanduser() if file else source.with_suffix('.pth')
    if path.is_dir():
        path = path / f'{source.stem}.pth'
    if path.exists() or path.suffix == PARTS:
        what = 'is there already' if path.exists() else 'would be a folder'
        raise UsageError(f'{str(path)!r} {what}: give the path of a new file')
    if not path.parent.is_dir():
        raise UsageError(f'there is no folder {str(path.parent)!r}')
    allow_mmengine_globals()
    keys = ('state_dict', 'meta') if weights_only else None
    content = read_parts(str(source), keys=keys)
    content = {k: v for k, v in content.items() if not keys or k in keys}
    AtomicLocalBackend().save(content, path)
    return str(path)


if __name__ == '__main__':
    raise SystemExit(main())
