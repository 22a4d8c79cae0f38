"""Test a config: ``python -m mmamp.test CONFIG CHECKPOINT [--amp]``."""

import argparse
import os
import sys
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger, print_log
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table

import mmamp  # noqa: F401  (registers everything)
from mmamp.config.launch import UsageError, evaluate_as_trained
from mmamp.engine.checkpoints import load_safely_only
from mmamp.engine.model_wrapper import set_model_wrapper
from mmamp.launcher.arguments import build_test_parser
from mmamp.launcher.base_config import make_work_dir, read_config
from mmamp.launcher.early_log import EarlyLog
from mmamp.launcher.mistakes import USAGE, complain, exit_code
from mmamp.launcher.ranks import is_first, join_ranks, leave_ranks
from mmamp.launcher.weights import (
    find_checkpoint,
    load_weights,
    training_seed,
)
from mmamp.module_names import unwrap

COMMAND = 'mmamp.test'
PARTS = ('dataloader', 'cfg', 'evaluator')


def config_from(args: argparse.Namespace) -> Config:
    """The config to test, from the command line.

    Args:
        args (argparse.Namespace): What ``build_test_parser`` parsed.

    Raises:
        UsageError: If the command line or the config is wrong; one line.
    """
    cfg = read_config(args)
    args.checkpoint = find_checkpoint(args.checkpoint)
    # Loaded by this command, which minds what does not fit.
    cfg.load_from = None
    cfg.resume = False
    _complete_test(cfg, args.config)
    # The latents of the run's own validation, whatever the number of
    # processes.
    randomness = dict(cfg.get('randomness') or {}, diff_rank_seed=False)
    if randomness.get('seed') is None:
        randomness['seed'] = training_seed(args.checkpoint)
    cfg.randomness = randomness
    evaluate_as_trained(cfg)
    # Checkpoints are the same whatever trained them; one process, or DDP,
    # tests.
    for key in ('strategy', 'runner_type'):
        cfg.pop(key, None)
    set_model_wrapper(cfg)
    # The Runner saves the config: not in the place of the training config.
    object.__setattr__(cfg, '_filename', None)
    return cfg


def _complete_test(cfg: Config, path: str) -> None:
    """Test on the validation data where the config has no others."""
    has = [cfg.get(f'test_{part}') is not None for part in PARTS]
    if all(has):
        return
    values = [cfg.get(f'val_{part}') for part in PARTS]
    if any(has) or None in values:
        raise UsageError(
            f'config {path!r} has nothing to test on: it needs all of '
            'test_dataloader, test_cfg=dict() and test_evaluator, or none of '
            'them and the same with val_'
        )
    for part, value in zip(PARTS, values, strict=True):
        cfg[f'test_{part}'] = value
    print_log(
        'The config has no test_dataloader: the validation data are tested on',
        logger='current',
    )


def main(argv: list[str] | None = None) -> int:
    """Test.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C.
    """
    args = build_test_parser().parse_args(argv)
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
    try:
        join_ranks(args.launcher)
        make_work_dir(cfg)
        runner = Runner.from_cfg(cfg)
        early.replay(runner.logger)
        load_weights(unwrap(runner.model), args.checkpoint)
        runner.logger.info(f'Weights of {args.checkpoint}')
        metrics = _Metrics()
        runner.register_hook(metrics)
        runner.test()
    except BaseException as error:
        return exit_code(error, COMMAND, cfg)
    if is_main_process():
        _print(metrics.found, args.checkpoint)
    leave_ranks()
    return 0


class _Metrics(Hook):
    """Keeps the metrics, which not every test loop returns."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def after_test_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        self.found = metrics or {}


def _print(metrics: dict[str, Any], checkpoint: str) -> None:
    console = Console()
    console.print(checkpoint, soft_wrap=True)
    table = Table()
    table.add_column('metric')
    table.add_column('value', justify='right')
    for name, value in metrics.items():
        table.add_row(
            name, f'{value:.5g}' if isinstance(value, float) else str(value)
        )
    console.print(table)


if __name__ == '__main__':
    sys.exit(main())
