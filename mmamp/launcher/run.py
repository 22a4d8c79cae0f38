"""How and where a command runs: its options, its processes, its folder."""

from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryFile

from mmengine.config import Config

from mmamp.checkpoint.storage import is_remote
from mmamp.errors import UsageError

ROOM = 2**16
"""Bytes that a run's config and the first lines of its log take."""


def check_amp_options(cfg: Config, args: Namespace) -> None:
    """Refuse options of ``--amp`` without it.

    Args:
        cfg (Config): The config, which does not matter.
        args (argparse.Namespace): The command line.

    Raises:
        UsageError: If there is one.
    """
    if args.amp:
        return
    for option in ('amp_dtype', 'loss_scale'):
        if getattr(args, option, None) is not None:
            name = option.replace('_', '-')
            raise UsageError(f'--{name} has no effect without --amp')


def set_launcher(cfg: Config, args: Namespace) -> None:
    """Have a config started as the command line says.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): With ``launcher``.
    """
    cfg.launcher = args.launcher or 'none'


def set_work_dir(cfg: Config, args: Namespace) -> None:
    """Give a config its work dir.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): With ``work_dir`` and ``config``.

    Raises:
        UsageError: If it is a file, or no folder of a disk.
    """
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    if is_remote(cfg.work_dir):
        raise UsageError(
            f'work dir {cfg.work_dir!r} has to be a folder of a disk; '
            'checkpoints go elsewhere with --cfg-options '
            'default_hooks.checkpoint.out_dir=...'
        )
    if Path(cfg.work_dir).is_file():
        raise UsageError(f'work dir {cfg.work_dir!r} is a file')


def make_work_dir(cfg: Config) -> None:
    """Make the folder of a run, before anything is built.

    Args:
        cfg (Config): With its ``work_dir``.

    Raises:
        UsageError: If it cannot be made, or not be written to.
    """
    what = 'made'
    try:
        Path(cfg.work_dir).mkdir(parents=True, exist_ok=True)
        what = 'written to'
        with TemporaryFile(dir=cfg.work_dir) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        raise UsageError(
            f'work dir {cfg.work_dir!r} cannot be {what}: {error.strerror}'
        ) from error
