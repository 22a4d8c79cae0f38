"""From where a run goes on, and how to say so."""

import hashlib
import logging
import os
import shlex
import sys
from argparse import Namespace
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import all_gather_object
from mmengine.logging import print_log

from mmamp.checkpoint.latest import check_checkpoint, latest_checkpoint
from mmamp.checkpoint.safe_load import DISK
from mmamp.checkpoint.storage import INDEX, is_in_parts, is_remote
from mmamp.errors import UsageError
from mmamp.utils.listing import listed

from .storage import out_dir_of, storage_of
from .weights import find_checkpoint

SHOWN = 3
"""Checkpoints that a message names."""


def set_resume(cfg: Config, args: Namespace) -> None:
    """Say where a run goes on from.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): With ``resume``: None, ``'auto'`` or a path.

    Raises:
        UsageError: If it cannot go on from there.
    """
    resume = args.resume
    if resume is None:
        return
    strategy = cfg.get('strategy') or {}
    if 'DeepSpeedStrategy' in str(strategy.get('type')):
        raise UsageError(
            '--resume: DeepSpeed saves folders of pickles, which cannot be '
            'loaded with weights_only=True; a DeepSpeed run is resumed under '
            "MMEngine's own train.py, without mmamp's launcher"
        )
    storage = storage_of(cfg)
    if resume == 'auto':
        found = latest_checkpoint(cfg.work_dir, out_dir_of(cfg), storage)
    else:
        path = find_checkpoint(resume, storage)
        found = path, check_checkpoint(path, storage)
    cfg.resume = found is not None
    if found is None:
        weights = cfg.get('load_from')
        print_log(
            f'--resume: no checkpoint in {cfg.work_dir!r} yet, so the run '
            'starts from the beginning'
            + (f', with the weights of {weights}' if weights else ''),
            logger='current',
            level=logging.WARNING,
        )
        return
    cfg.load_from = found[0]
    # Before the Runner builds its data with a seed of its own.
    seed = found[1].get('seed')
    randomness = dict(cfg.get('randomness') or {})
    if randomness.get('seed') is None and seed is not None:
        cfg.randomness = dict(randomness, seed=seed)
        print_log(
            f'--resume: the seed is {seed}, as in {found[0]}',
            logger='current',
        )


def warn_of_used_work_dir(cfg: Config) -> None:
    """Warn of checkpoints of another run that are written over.

    Args:
        cfg (Config): With its ``work_dir``; it says where it goes on from.
    """
    # A store is not asked for it.
    folders = [cfg.work_dir, out_dir_of(cfg) or cfg.work_dir]
    folders = [x for x in dict.fromkeys(folders) if not is_remote(x)]
    found = [x for folder in folders for x in DISK.checkpoints(folder)]
    start = cfg.get('load_from') if cfg.get('resume') else None
    goes_on = cfg.get('resume') and (
        start is None
        or any(Path(start).resolve() == Path(x).resolve() for x in found)
    )
    if not found or goes_on:
        return
    names = listed([Path(x).name for x in found], SHOWN)
    print_log(
        f'Work dir {cfg.work_dir!r} has checkpoints of an earlier run '
        f'({names}): those that are saved under the same names take their '
        'place, and --resume will go on from the new ones. To go on from '
        'these give --resume, to keep them another folder with --work-dir',
        logger='current',
        level=logging.WARNING,
    )


def check_same_start(cfg: Config) -> None:
    """Make sure that all ranks go on from one checkpoint.

    Each has looked for it by itself: where the work dir is not on a file
    system that all machines share, not all have found it.

    Args:
        cfg (Config): Of this rank; the ranks have met.

    Raises:
        UsageError: If they found others.
    """
    mine = cfg.get('load_from') if cfg.get('resume') else None
    found = all_gather_object((mine, _identity(mine)))
    if len({identity for _, identity in found}) > 1:
        each = ', '.join(f'{i}: {path}' for i, (path, _) in enumerate(found))
        raise UsageError(
            f'--resume: ranks go on from different checkpoints ({each}); the '
            'work dir has to be on a file system that all machines share'
        )


def _identity(path: str | None) -> tuple[object, ...]:
    """Return what a checkpoint has under whatever path a machine has it.

    A file of torch's ends with the checksums of all that is in it.
    """
    if path is None or is_remote(path):
        return (path,)
    file_of = Path(path).expanduser()
    if is_in_parts(str(file_of)):
        file_of /= INDEX
    try:
        with open(file_of, 'rb') as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 2**16))
            return size, hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return (path,)  # whoever reads it says what is wrong


def how_to_resume(
    cfg: Config, argv: list[str], what: str = 'Interrupted'
) -> str:
    """Say what a user wants to know whose run has ended early.

    Args:
        cfg (Config): Of the run.
        argv (list[str]): Its arguments.
        what (str): What became of it. Defaults to ``'Interrupted'``.
    """
    try:
        latest = latest_checkpoint(
            cfg.work_dir, out_dir_of(cfg), storage_of(cfg)
        )
    except UsageError as error:
        return f'{what}; {error}'
    if latest is None:
        return f'{what} before the first checkpoint was saved.'
    return f'{what}. Go on from {latest[0]} with: {resume_command(argv)}'


def resume_command(argv: list[str]) -> str:
    """Return the command that goes on from the latest checkpoint.

    Args:
        argv (list[str]): Arguments of the run; a checkpoint that it resumed
            from itself is not the latest any more.
    """
    # What tools/dist_train.sh was called with stands for the first of them.
    script = os.environ.get('MMAMP_COMMAND')
    dropped = ['--resume', '--launcher'] if script else ['--resume']
    rest = list(argv[1:] if script else argv)
    kept = []
    while rest:
        argument = rest.pop(0)
        name, _, value = argument.partition('=')
        if name not in dropped:
            kept.append(argument)
        elif not value and rest and not rest[0].startswith('-'):
            rest.pop(0)
    command = script or shlex.join(['python', *_started()])
    return f'{command} {shlex.join([*kept, "--resume"])}'


def other_command(name: str) -> str:
    """Return how another of mmamp's commands is called beside this one.

    Args:
        name (str): Such as ``'test'``.
    """
    first, *_ = _started()
    beside = Path(first).with_name(f'{name}.py')
    is_module = first == '-m' or not beside.is_file()
    return f'python {"-m mmamp." + name if is_module else beside}'


def _started() -> list[str]:
    """Return what python was given: a script, or a module by ``-m``."""
    script = sys.argv[0]
    spec = getattr(sys.modules['__main__'], '__spec__', None)
    # Not that of a profiler or debugger around the script.
    if spec is not None and spec.origin and Path(spec.origin) == Path(script):
        return ['-m', spec.name]
    return [script]
