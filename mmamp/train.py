"""Train a config: ``python -m mmamp.train CONFIG --amp``."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import RUNNERS

import mmamp  # noqa: F401  (registers everything)
from mmamp.distributed.ranks import join_ranks, leave_ranks
from mmamp.errors import (
    FAILED,
    NOT_FINITE,
    USAGE,
    DataError,
    NonFiniteTrainingError,
    OptimizerError,
    PartedRanksError,
    Preempted,
    StorageError,
    UsageError,
)
from mmamp.launcher.arguments import build_parser
from mmamp.launcher.edits import GO_ON, START
from mmamp.launcher.eta import EtaHook
from mmamp.launcher.first_screen import tell_what_is_trained
from mmamp.launcher.last_screen import LastScreen
from mmamp.launcher.live import LiveHook
from mmamp.launcher.lock import WorkDirLock
from mmamp.launcher.mistakes import MISTAKES, exit_code
from mmamp.launcher.resume import (
    check_same_start,
    how_to_resume,
    resume_command,
)
from mmamp.launcher.run import make_work_dir
from mmamp.launcher.start import started
from mmamp.launcher.storage import storage_error
from mmamp.logging.console import QuietConsole
from mmamp.logging.early_log import EarlyLog
from mmamp.logging.log_file import tell_once
from mmamp.utils.protocols import WritesBeside
from mmamp.utils.suggest import did_you_mean

COMMAND = 'mmamp.train'


def main(argv: list[str] | None = None) -> int:
    """Train.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 1 where the ranks have come to train different
        weights, 2 for a mistake of the user's, 3 where gradients are not
        finite any more, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    with WorkDirLock() as lock:
        return _main(argv, lock)


def _main(argv: list[str], lock: WorkDirLock) -> int:
    """Train while the work dir is this run's."""
    args = build_parser().parse_args(argv)
    begun = started(args, (*START, lock.take), COMMAND, GO_ON)
    if begun is None:
        return USAGE
    cfg, early = begun
    last = LastScreen()
    try:
        join_ranks(cfg)
        make_work_dir(cfg)
        code = _train(cfg, early, last, argv)
    except BaseException as error:
        if (full := storage_error(error, cfg)) is not None:
            told = how_to_resume(cfg, argv, 'The run ended')
            ended = StorageError(f'{full}. {told}')
            ended.__cause__ = error
            return exit_code(ended, COMMAND)
        if last.trains and (
            isinstance(error, (DataError, OptimizerError))
            or not isinstance(error, UsageError)
        ):
            _note(error, how_to_resume(cfg, argv, 'The run ended'))
        return exit_code(
            error,
            COMMAND,
            cfg,
            mistakes=(UsageError,) if last.trains else MISTAKES,
            on_interrupt=lambda: how_to_resume(cfg, argv),
        )
    # The runner is gone, and with it what holds the groups of processes.
    leave_ranks()
    return code


def _note(error: BaseException, text: str) -> None:
    """Have a text stand below the traceback of an error, if that is shown.

    On Python 3.10 above it.
    """
    if sys.version_info >= (3, 11):
        error.add_note(text)
    elif isinstance(error, Exception):
        print(text, file=sys.stderr)


def _train(
    cfg: Config, early: EarlyLog, last: LastScreen, argv: list[str]
) -> int:
    """Train to the end, or until all ranks agree to leave."""
    quiet = QuietConsole()
    with quiet.on_new_loggers():
        runner = build_runner(cfg)
    eta = EtaHook()
    live = LiveHook(quiet, eta)
    runner.register_hook(eta)
    runner.register_hook(_FirstScreen(quiet), 'VERY_HIGH')
    runner.register_hook(live)
    try:
        return _train_in(runner, cfg, early, last, argv)
    finally:
        live.close()


def _train_in(
    runner: Any,
    cfg: Config,
    early: EarlyLog,
    last: LastScreen,
    argv: list[str],
) -> int:
    """Train with a runner that is built."""
    check_same_start(cfg)
    tell_once(runner.logger)
    early.replay(runner.logger)
    runner.register_hook(last, 'HIGHEST')
    try:
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
        runner.call_hook('after_run')
        return 0
    except NonFiniteTrainingError:
        # The log has said why.
        runner.call_hook('after_run')
        return NOT_FINITE
    except PartedRanksError as error:
        # All ranks meet it, and the first one tells.
        print_log(str(error), logger='current', level=logging.WARNING)
        runner.call_hook('after_run')
        return FAILED
    except BaseException:
        # Before somebody says from which checkpoint to go on.
        for hook in runner.hooks:
            if isinstance(hook, WritesBeside):
                hook.finish_writing()
        raise
    if last.trains:
        last.tell(runner)
    elif is_main_process():
        length = 'max_epochs' if 'max_epochs' in cfg.train_cfg else 'max_iters'
        print(
            f'Nothing to do: the run is at iteration {runner.iter} of '
            f'{runner.max_iters} already; --cfg-options '
            f'train_cfg.{length}=N has it go on',
            file=sys.stderr,
        )
    return 0


class _FirstScreen(Hook):
    """Tells what is trained, once all of it is built."""

    def __init__(self, quiet: QuietConsole) -> None:
        self._quiet = quiet

    def before_train(self, runner: Any) -> None:
        tell_what_is_trained(runner, self._quiet)


def build_runner(cfg: Config) -> Any:
    """Return the runner of a config: the one it names, or MMEngine's.

    Args:
        cfg (Config): ``runner_type`` and ``strategy`` decide.

    Raises:
        UsageError: If there is no such runner.
    """
    kind: Any = cfg.get('runner_type', 'Runner')
    if isinstance(kind, str):
        name, kind = kind, RUNNERS.get(kind)
        if kind is None:
            valid = sorted(RUNNERS.module_dict)
            raise UsageError(
                f'runner_type: there is no {name!r}; there are '
                f'{", ".join(valid)}.{did_you_mean(name, valid)}'
            )
    return kind.from_cfg(cfg)


if __name__ == '__main__':
    sys.exit(main())
