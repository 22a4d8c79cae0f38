"""Test a config: ``python -m mmamp.test CONFIG CHECKPOINT [--amp]``."""

import sys
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.table import Table

import mmamp  # noqa: F401  (registers everything)
from mmamp.distributed.ranks import join_ranks, leave_ranks
from mmamp.errors import USAGE
from mmamp.launcher.arguments import build_test_parser
from mmamp.launcher.edits import TEST
from mmamp.launcher.mistakes import exit_code
from mmamp.launcher.run import make_work_dir
from mmamp.launcher.start import started
from mmamp.launcher.storage import storage_of
from mmamp.launcher.weights import load_weights
from mmamp.logging.console import QuietConsole
from mmamp.logging.early_log import EarlyLog
from mmamp.utils.consoles import new_console
from mmamp.utils.modules import unwrap

COMMAND = 'mmamp.test'


def main(argv: list[str] | None = None) -> int:
    """Test.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C.
    """
    args = build_test_parser().parse_args(argv)
    begun = started(args, TEST, COMMAND)
    if begun is None:
        return USAGE
    cfg, early = begun
    metrics = _Metrics()
    try:
        join_ranks(cfg)
        make_work_dir(cfg)
        _test(cfg, early, metrics, args.checkpoint)
    except BaseException as error:
        return exit_code(error, COMMAND, cfg)
    if is_main_process():
        _print(metrics.found, args.checkpoint)
    # The runner is gone, and with it what holds the groups of processes.
    leave_ranks()
    return 0


def _test(
    cfg: Config, early: EarlyLog, metrics: '_Metrics', checkpoint: str
) -> None:
    with QuietConsole().on_new_loggers():
        runner = Runner.from_cfg(cfg)
    early.replay(runner.logger)
    load_weights(unwrap(runner.model), checkpoint, storage_of(cfg))
    runner.logger.info(f'Weights of {checkpoint}')
    runner.register_hook(metrics)
    runner.test()


class _Metrics(Hook):
    """Keeps the metrics, which not every test loop returns."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def after_test_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        self.found = metrics or {}


def _print(metrics: dict[str, Any], checkpoint: str) -> None:
    console = new_console()
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
