"""Train a config: ``python -m mmamp.train CONFIG --amp``."""

import argparse
import logging
import os
import shlex
import sys
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger, print_log
from mmengine.runner import Runner
from torch import distributed

import mmamp  # noqa: F401  (registers everything)
from mmamp.config import enable_amp
from mmamp.config.launch import (
    UsageError,
    add_hooks,
    enable_auto_scale_lr,
    load_config,
    merge_options,
    seed_data,
)
from mmamp.engine.checkpoints import (
    check_checkpoint,
    latest_checkpoint,
    load_safely_only,
)
from mmamp.engine.hooks.overflow_hook import NonFiniteTrainingError
from mmamp.engine.hooks.preemption_hook import Preempted
from mmamp.engine.model_wrapper import set_model_wrapper

USAGE = 2
"""Exit code for a mistake of the user's."""
NOT_FINITE = 3
"""Exit code of a run whose gradients are not finite any more."""
INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ended."""


class _Options(DictAction):
    """MMEngine's ``key=value`` options, with an error instead of a crash."""

    def __call__(self, parser, namespace, values, option_string=None):  # type: ignore[no-untyped-def]
        try:
            super().__call__(parser, namespace, values, option_string)
        except Exception as error:
            raise argparse.ArgumentError(
                self,
                f'cannot read {" ".join(values)!r} as KEY=VALUE: {error}',
            ) from error


def _loss_scale(text: str) -> str | float:
    """``'dynamic'`` or a number."""
    if text == 'dynamic':
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither 'dynamic' nor a number > 0"
        )
    return value


def build_parser() -> argparse.ArgumentParser:
    """The command line, which is that of MMEngine's projects."""
    parser = argparse.ArgumentParser(
        description='Train a model, in mixed precision with --amp'
    )
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        '--work-dir',
        help='where logs, checkpoints and pictures go '
        "(default: the config's, else work_dirs/CONFIG_NAME)",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint; without PATH, or with "auto", from '
        'the latest in the work dir',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision'
    )
    parser.add_argument(
        '--amp-dtype',
        choices=['float16', 'bfloat16', 'auto'],
        help="with --amp: the low precision (default: the config's, else "
        "PyTorch's for the device; auto: bfloat16 where the hardware has it)",
    )
    parser.add_argument(
        '--loss-scale',
        type=_loss_scale,
        help="with --amp: 'dynamic' or a number for a static scale "
        "(default: the config's, else dynamic)",
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size, by the '
        "config's auto_scale_lr",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        metavar='KEY=VALUE',
        help='settings that replace those of the config, such as '
        'train_cfg.max_iters=100',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes (default: none)',
    )
    parser.add_argument(
        '--local-rank',
        '--local_rank',
        type=int,
        default=0,
        help='set by older launchers; torchrun uses the environment',
    )
    return parser


def config_from(args: argparse.Namespace) -> Config:
    """The config to run, from the command line.

    Args:
        args (argparse.Namespace): What :func:`build_parser` parsed.

    Returns:
        Config: Complete: dumped to a file it trains again by itself.

    Raises:
        UsageError: If the command line or the config is wrong; one line.
    """
    if not args.amp:
        for option in ('amp_dtype', 'loss_scale'):
            if getattr(args, option) is not None:
                name = option.replace('_', '-')
                raise UsageError(f'--{name} has no effect without --amp')
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options or {})
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    if Path(cfg.work_dir).is_file():
        raise UsageError(f'work dir {cfg.work_dir!r} is a file')
    if args.amp:
        try:
            cfg = enable_amp(cfg, args.amp_dtype, args.loss_scale)
        except (TypeError, ValueError) as error:
            raise UsageError(f'--amp: {error}') from error
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    _set_resume(cfg, args.resume)
    add_hooks(cfg)
    seed_data(cfg)
    set_model_wrapper(cfg)
    return cfg


def _set_resume(cfg: Config, resume: str | None) -> None:
    """Where to go on from."""
    if resume is None:
        return
    if resume == 'auto':
        found = latest_checkpoint(cfg.work_dir)
    else:
        found = resume, check_checkpoint(resume)
    cfg.resume = found is not None
    cfg.load_from = found and found[0]
    if found is None:
        print_log(
            f'--resume: no checkpoint in {cfg.work_dir!r} yet, so the run '
            'starts from the beginning',
            logger='current',
            level=logging.WARNING,
        )
        return
    # Before the Runner builds its data with a seed of its own.
    seed = found[1].get('seed')
    randomness = dict(cfg.get('randomness') or {})
    if randomness.get('seed') is None and seed is not None:
        cfg.randomness = dict(randomness, seed=seed)
        print_log(
            f'--resume: the seed is {seed}, as in {found[0]}',
            logger='current',
        )


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error.

    Code that was writing a file may turn it into an error of its own.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _how_to_resume(cfg: Config, argv: list[str]) -> str:
    """What a user who pressed Ctrl-C wants to know."""
    try:
        latest = latest_checkpoint(cfg.work_dir)
    except UsageError as error:
        return f'Interrupted; {error}'
    if latest is None:
        return 'Interrupted before the first checkpoint was saved.'
    return f'Interrupted. Go on from {latest[0]} with: {resume_command(argv)}'


def resume_command(argv: list[str]) -> str:
    """The command that goes on from the latest checkpoint.

    Args:
        argv (list[str]): Arguments of the run; a checkpoint that it resumed
            from itself is not the latest any more.
    """
    kept = []
    rest = iter(enumerate(argv))
    for i, argument in rest:
        if argument == '--resume':
            if i + 1 < len(argv) and not argv[i + 1].startswith('-'):
                next(rest)
        elif not argument.startswith('--resume='):
            kept.append(argument)
    return shlex.join(['python', sys.argv[0], *kept, '--resume'])


def _join_ranks(launcher: str) -> None:
    """Join the other processes where there is no accelerator.

    MMEngine would look for a GPU, whatever backend the config has.
    """
    if get_device() != 'cpu':
        return
    if launcher == 'pytorch':
        distributed.init_process_group('gloo')
    elif launcher == 'slurm':
        # Where they meet, tools/slurm_train.sh says.
        distributed.init_process_group(
            'gloo',
            rank=int(os.environ['SLURM_PROCID']),
            world_size=int(os.environ['SLURM_NTASKS']),
        )


def _is_first(launcher: str) -> bool:
    """Whether this process speaks for all, before they have met."""
    variable = dict(pytorch='RANK', slurm='SLURM_PROCID').get(launcher, '')
    return os.environ.get(variable, '0') == '0'


def _leave_ranks() -> None:
    """Part from the other processes when all of them are done."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


class _EarlyLog(logging.Handler):
    """Keeps what is logged before the Runner has opened its log file."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def __enter__(self) -> None:
        self._logger = MMLogger.get_current_instance()
        self._kept, self._logger.handlers = self._logger.handlers, [self]

    def __exit__(self, *_: object) -> None:
        self._logger.handlers = self._kept

    def replay(self, logger: logging.Logger) -> None:
        """Log it now."""
        for record in self._records:
            logger.handle(record)


def main(argv: list[str] | None = None) -> int:
    """Train.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 2 for a mistake of the user's, 3 where gradients
        are not finite any more, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = build_parser()
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    load_safely_only()
    early = _EarlyLog()
    try:
        with early:
            cfg = config_from(args)
    except UsageError as error:
        if _is_first(args.launcher):
            early.replay(MMLogger.get_current_instance())
            parser.error(str(error))
        return USAGE
    try:
        _join_ranks(args.launcher)
        runner = Runner.from_cfg(cfg)
        early.replay(runner.logger)
        runner.train()
    except Preempted as preempted:
        if is_main_process():
            print(
                f'Saved {preempted.checkpoint}. Go on with: '
                f'{resume_command(argv)}',
                file=sys.stderr,
            )
            if mark := os.environ.get('MMAMP_PREEMPTED'):
                Path(mark).touch()
        _leave_ranks()
        return 0
    except NonFiniteTrainingError as error:
        print(f'mmamp.train: error: {error}', file=sys.stderr)
        return NOT_FINITE
    except BaseException as error:
        if not _is_interrupt(error):
            raise
        if is_main_process():
            print(_how_to_resume(cfg, argv), file=sys.stderr)
        return INTERRUPTED
    _leave_ranks()
    return 0


if __name__ == '__main__':
    sys.exit(main())
