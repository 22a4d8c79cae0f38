"""What every command does to a config."""

import argparse
from pathlib import Path

from mmengine.config import Config

from mmamp.config import enable_amp
from mmamp.config.launch import (
    UsageError,
    check_constructor,
    load_config,
    merge_options,
)

from .ranks import check_launcher


def make_work_dir(cfg: Config) -> None:
    """Make the folder of a run, before anything is built.

    Args:
        cfg (Config): With its ``work_dir``.

    Raises:
        UsageError: If it cannot be made.
    """
    try:
        Path(cfg.work_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f'work dir {cfg.work_dir!r} cannot be made: {error.strerror}'
        ) from error


def read_config(args: argparse.Namespace) -> Config:
    """The config that a command line names, with its options.

    Args:
        args (argparse.Namespace): With the attributes of
            ``mmamp.train`` and ``mmamp.test``.

    Returns:
        Config: With its ``work_dir`` and ``launcher``, and in mixed precision
        if ``--amp`` says so.

    Raises:
        UsageError: If the command line or the config is wrong; one line.
    """
    if not args.amp:
        for option in ('amp_dtype', 'loss_scale'):
            if getattr(args, option, None) is not None:
                name = option.replace('_', '-')
                raise UsageError(f'--{name} has no effect without --amp')
    check_launcher(args.launcher)
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options or {})
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    if Path(cfg.work_dir).is_file():
        raise UsageError(f'work dir {cfg.work_dir!r} is a file')
    check_constructor(cfg)
    if not args.amp:
        return cfg
    scale = getattr(args, 'loss_scale', None)
    try:
        return enable_amp(cfg, args.amp_dtype, scale)
    except (TypeError, ValueError) as error:
        raise UsageError(f'--amp: {error}') from error
