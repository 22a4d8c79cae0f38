"""Train a config: ``python -m mmamp.train CONFIG --amp``."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS

import mmamp  # noqa: F401  (registers everything)
from mmamp.config.launch import (
    UsageError,
    add_hooks,
    enable_auto_scale_lr,
    evaluate_as_trained,
    seed_data,
)
from mmamp.engine.checkpoints import load_safely_only
from mmamp.engine.hooks.overflow_hook import NonFiniteTrainingError
from mmamp.engine.hooks.preemption_hook import Preempted
from mmamp.engine.model_wrapper import set_model_wrapper
from mmamp.engine.strategies.choice import set_strategy
from mmamp.launcher.arguments import build_parser
from mmamp.launcher.base_config import make_work_dir, read_config
from mmamp.launcher.early_log import EarlyLog
from mmamp.launcher.mistakes import (
    MISTAKES,
    NOT_FINITE,
    USAGE,
    complain,
    exit_code,
)
from mmamp.launcher.ranks import (
    is_first,
    join_ranks,
    leave_ranks,
)
from mmamp.launcher.resume import (
    check_same_start,
    how_to_resume,
    resume_command,
    set_resume,
)

COMMAND = 'mmamp.train'


def config_from(args: argparse.Namespace) -> Config:
    """The config to run, from the command line.

    Args:
        args (argparse.Namespace): What :func:`build_parser` parsed.

    Returns:
        Config: Complete: dumped to a file it trains again by itself.

    Raises:
        UsageError: If the command line or the config is wrong; one line.
    """
    cfg = read_config(args)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    set_resume(cfg, args.resume)
    add_hooks(cfg)
    evaluate_as_trained(cfg)
    seed_data(cfg)
    set_model_wrapper(cfg)
    set_strategy(cfg)
    return cfg


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
    early = EarlyLog()
    try:
        with early:
            cfg = config_from(args)
    except (UsageError, ImportError) as error:
        # A lazy config imports what it names when that is asked for.
        if is_first(args.launcher):
            early.replay(MMLogger.get_current_instance())
            complain(error, COMMAND, has_log=False)
        return USAGE
    phase = _Phase()
    try:
        join_ranks(args.launcher)
        make_work_dir(cfg)
        runner = build_runner(cfg)
        check_same_start(cfg)
        early.replay(runner.logger)
        runner.register_hook(phase, 'HIGHEST')
        runner.train()
        if is_main_process() and not phase.trains:
            print(
                f'Nothing to do: the run is at iteration {runner.iter} of '
                f'{runner.max_iters} already',
                file=sys.stderr,
            )
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
    except NonFiniteTrainingError:
        # The log has said why.
        runner.call_hook('after_run')
        leave_ranks()
        return NOT_FINITE
    except BaseException as error:
        return exit_code(
            error,
            COMMAND,
            cfg,
            mistakes=(UsageError,) if phase.trains else MISTAKES,
            on_interrupt=lambda: how_to_resume(cfg, argv),
        )
    leave_ranks()
    return 0


class _Phase(Hook):
    """Knows whether training has begun."""

    trains = False

    def before_train_iter(self, *_: Any, **__: Any) -> None:
        self.trains = True


def build_runner(cfg: Config) -> Any:
    """The runner of a config: the one it names, or MMEngine's.

    Args:
        cfg (Config): ``runner_type`` and ``strategy`` decide.
    """
    kind: Any = cfg.get('runner_type', 'Runner')
    if isinstance(kind, str):
        kind = RUNNERS.get(kind)
    return kind.from_cfg(cfg)


if __name__ == '__main__':
    sys.exit(main())
