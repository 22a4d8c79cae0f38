"""The command."""

import argparse
import datetime
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmamp.errors import UsageError
from mmamp.launcher.arguments import Options
from mmamp.launcher.edits import REPORT, read_config
from mmamp.launcher.mistakes import exit_code
from mmamp.precision.names import COMPARED
from mmamp.report.trial_config import in_dtype
from mmamp.utils.consoles import new_console
from mmamp.version import __version__

from .bounds import Speed, add_bounds
from .cards import CARDS, Card, bytes_of, card_named
from .page import write_page
from .plan_config import STRATEGIES, left_out
from .rows import Aim
from .tables import print_plan
from .target import LISTS
from .trial import specification

COMMAND = 'plan'


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description='Will it fit, what will it send, what will break? '
        'Rehearses an update of every network of a config without a GPU and '
        'without training, and says what it takes',
    )
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        '--device',
        choices=('cpu', *LISTS),
        default='cuda',
        help='what it is to run on (default: cuda)',
    )
    _add_number(parser, '--gpus', 1, 'devices of a machine')
    _add_number(parser, '--nodes', 1, 'machines')
    _add_number(
        parser,
        '--batch-size',
        None,
        "samples a device (default: the config's)",
    )
    parser.add_argument(
        '--card',
        metavar='NAME',
        help=f'a device whose figures are known: {", ".join(CARDS)}',
    )
    parser.add_argument(
        '--memory', metavar='SIZE', help='of a device, such as 80GiB'
    )
    parser.add_argument(
        '--flops',
        type=float,
        metavar='N',
        help='operations a second of a device, in trillions, in every dtype',
    )
    for option, what in (
        ('bandwidth', "a device's memory"),
        ('link', 'a link'),
    ):
        parser.add_argument(
            f'--{option}',
            metavar='SIZE',
            help=f'bytes a second of {what}, such as 900GB',
        )
    parser.add_argument(
        '--strategy',
        nargs='+',
        choices=STRATEGIES,
        help='how it is trained (default: none for one device, else all)',
    )
    parser.add_argument(
        '--dtypes',
        nargs='+',
        choices=COMPARED,
        default=list(COMPARED),
        help='what is compared (default: all three)',
    )
    parser.add_argument(
        '--ranks',
        nargs='+',
        type=int,
        default=[],
        metavar='N',
        help='other numbers of ranks, 2 to 4096, whose traffic is counted',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR',
        help='where plan.json and plan.html go (default: nowhere)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        metavar='KEY=VALUE',
        help='replace settings of the config',
    )
    return parser


def _add_number(
    parser: argparse.ArgumentParser, name: str, default: int | None, what: str
) -> None:
    shown = '' if default is None else f' (default: {default})'
    parser.add_argument(
        name, type=int, default=default, metavar='N', help=f'{what}{shown}'
    )


def main(argv: list[str] | None = None) -> int:
    """Rehearse a config, and say what it takes.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 1 where nothing could be rehearsed, 2 for a mistake
        of the user's, 130 after Ctrl-C.
    """
    args = build_parser().parse_args(argv)
    try:
        card = None if args.card is None else card_named(args.card)
        speed = _speed_of(args, card)
        aim = _aim_of(args, card)
        strategies = _strategies_of(args, aim)
        MMLogger.get_current_instance().setLevel(logging.WARNING)
        cfg = read_config(args, REPORT)
        _check(cfg, args)
        plan = _head(args, cfg, aim, speed)
        plan['rows'] = list(_rows(cfg, args, strategies, aim))
        add_bounds(plan['rows'], speed)
    except BaseException as error:
        return exit_code(error, COMMAND, has_log=False)
    print_plan(plan, new_console())
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / 'plan.json'
        path.write_text(json.dumps(plan, indent=1, allow_nan=False))
        print(f'Written: {path}')
        print(f'Written: {write_page(args.out, plan)}')
    return int(all(row['failed'] for row in plan['rows']))


def _speed_of(args: argparse.Namespace, card: Card | None) -> Speed:
    flops = dict(card.flops) if card else {}
    if args.flops is not None:
        if not 0 < args.flops < float('inf'):
            raise UsageError(f'--flops must be > 0, but got {args.flops}')
        flops = dict.fromkeys(COMPARED, args.flops * 1e12)
    bandwidth = card.bandwidth if card else None
    if args.bandwidth is not None:
        bandwidth = bytes_of(args.bandwidth, '--bandwidth')
    link = None if args.link is None else bytes_of(args.link, '--link')
    return Speed(flops, bandwidth, link)


def _aim_of(args: argparse.Namespace, card: Card | None) -> Aim:
    for name, low in (('gpus', 1), ('nodes', 1), ('batch_size', 1)):
        value = getattr(args, name)
        if value is not None and value < low:
            option = name.replace('_', '-')
            raise UsageError(
                f'--{option} must be {low} or more, but got {value}'
            )
    for ranks in args.ranks:
        if not 2 <= ranks <= 4096:
            raise UsageError(f'--ranks must be 2 to 4096, but got {ranks}')
    memory = card.memory if card else None
    if args.memory is not None:
        memory = bytes_of(args.memory, '--memory')
    return Aim(
        args.device,
        args.gpus * args.nodes,
        args.batch_size,
        memory,
        sorted(set(args.ranks)),
    )


def _strategies_of(args: argparse.Namespace, aim: Aim) -> list[str]:
    given = args.strategy or (STRATEGIES if aim.ranks > 1 else ['none'])
    several = [x for x in given if x != 'none']
    if several and aim.ranks == 1:
        raise UsageError(
            f'--strategy {several[0]} needs several devices: give --gpus'
        )
    return list(dict.fromkeys(given))


def _check(cfg: Config, args: argparse.Namespace) -> None:
    """Refuse a config that cannot be rehearsed."""
    if cfg.get('train_dataloader') is None:
        raise UsageError(
            f'config {args.config!r} has no train_dataloader, so that nobody '
            'knows what a batch is'
        )
    for key in ('model', 'optim_wrapper'):
        if cfg.get(key) is None:
            raise UsageError(f'config {args.config!r} has no {key}')
    size = cfg.train_dataloader.get('batch_size')
    if args.batch_size is None and size is not None and size < 1:
        raise UsageError(
            f'train_dataloader.batch_size must be 1 or more, but is {size!r}'
        )
    for dtype in args.dtypes:
        try:
            in_dtype(cfg, dtype)
        except (TypeError, ValueError) as error:
            raise UsageError(f'{args.config}: {error}') from error


def _head(
    args: argparse.Namespace, cfg: Config, aim: Aim, speed: Speed
) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    return dict(
        version=1,
        mmamp=__version__,
        config=str(args.config),
        date=now.isoformat(timespec='seconds'),
        device=args.device,
        ranks=aim.ranks,
        card=args.card,
        memory=aim.memory,
        speed=speed.state(),
        left_out=left_out(cfg),
    )


def _rows(
    cfg: Config, args: argparse.Namespace, strategies: list[str], aim: Aim
) -> Iterator[dict[str, Any]]:
    """Run a trial of each strategy, and yield what it says."""
    dtypes = list(dict.fromkeys(args.dtypes))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, 'config.py')
        cfg.dump(config)
        for strategy in strategies:
            asked = specification(config, strategy, dtypes, aim)
            yield from _trial(asked, strategy)


def _trial(asked: str, strategy: str) -> Iterator[dict[str, Any]]:
    child = subprocess.Popen(
        [sys.executable, '-m', 'mmamp.plan.trial', asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            'CUDA_VISIBLE_DEVICES': '',
            'PYTHONUNBUFFERED': '1',
        },
    )
    rows = 0
    try:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            if line.startswith('@'):
                print(f'{strategy}, {line[1:].strip()} ...', file=sys.stderr)
            elif line.startswith('{'):
                row: dict[str, Any] = json.loads(line)
                if 'mistake' in row:
                    raise UsageError(row['mistake'])
                rows += 1
                yield row
        said = child.stderr.read()
        if child.wait():
            last = [x for x in said.splitlines() if x.strip()] or ['']
            how = 'out of memory' if child.returncode == -9 else last[-1]
            raise UsageError(
                f'strategy {strategy} could not be rehearsed: {how}'
            )
    finally:
        child.kill()
        child.wait()
