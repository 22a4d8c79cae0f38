"""The commands that pages show: parsed, or run in this process."""

import functools
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from doc_blocks import ROOT

from benchmarks.speed.command import build_parser as build_benchmark_parser
from mmamp.config.loading import load_config
from mmamp.export.command import FORMATS
from mmamp.launcher.arguments import (
    build_export_parser,
    build_parser,
    build_sample_parser,
    build_test_parser,
)
from mmamp.migration.cli import build_parser as build_migrate_parser
from mmamp.plan.command import build_parser as build_plan_parser
from mmamp.report.command import build_parser as build_report_parser

PARSERS = {
    'tools/amp_report.py': build_report_parser,
    'tools/benchmark.py': build_benchmark_parser,
    'tools/export.py': functools.partial(build_export_parser, [*FORMATS]),
    'tools/plan.py': build_plan_parser,
    'tools/train.py': build_parser,
    'tools/test.py': build_test_parser,
    'tools/sample.py': build_sample_parser,
    'tools/migrate.py': build_migrate_parser,
}
MAINS = {
    'tools/amp_report.py': 'mmamp.report',
    'tools/export.py': 'mmamp.export',
    'tools/plan.py': 'mmamp.plan',
    'tools/train.py': 'mmamp.train',
    'tools/test.py': 'mmamp.test',
    'tools/sample.py': 'mmamp.sample',
    'tools/migrate.py': 'mmamp.migration.cli',
}
# What `python -m` calls them.
TOOLS = {f'mmamp.{x}': f'tools/{x}.py' for x in ('train', 'test', 'sample')}
# Scripts whose last words are those of tools/train.py.
STARTERS = {'tools/dist_train.sh': 2, 'tools/slurm_train.sh': 4}
VARIABLE = re.compile(r'[A-Z_]+=\S+')


def check(words: list[str], files: Path) -> None:
    """Whether a command could be run: its script, files and options exist.

    Args:
        words (list[str]): The command.
        files (Path): Where the files of the page are.
    """
    words = _as_tool(words)
    program, *rest = words
    program = program.removeprefix('.venv/bin/')
    if program == 'pip':
        _check_extra(words)
    elif program == 'bash':
        _check_script(rest)
    elif program == 'python' and rest[0] == '-m':
        _check_module(rest[1], rest[2:], files)
    elif program == 'python' and rest[0] in PARSERS:
        args = PARSERS[rest[0]]().parse_args(rest[1:])
        _check_config(getattr(args, 'config', None), files)
    elif program == 'python' and (files / rest[0]).is_file():
        options = {x for x in rest[1:] if x.startswith('--')}
        assert all(x in help_of(rest[0], files) for x in options)
    else:
        raise AssertionError(f'what is {shlex.join(words)}?')


def _as_tool(words: list[str]) -> list[str]:
    """A command without variables, and of `python -m` its script."""
    words = [x for x in words if not VARIABLE.fullmatch(x)]
    if words[1:2] == ['-m'] and words[2] in TOOLS:
        return [words[0], TOOLS[words[2]], *words[3:]]
    return words


@functools.cache
def help_of(script: str, files: Path) -> str:
    """What a script says of its options."""
    command = [sys.executable, script, '--help']
    return subprocess.check_output(command, cwd=files, text=True)


def _check_extra(words: list[str]) -> None:
    setup = (ROOT / 'setup.py').read_text()
    names = re.findall(r'\[(\w+)\]', ' '.join(words))
    assert names
    assert all(f"'{name}': " in setup for name in names)


def _check_script(rest: list[str]) -> None:
    script = ROOT / rest[0]
    subprocess.run(['bash', '-n', str(script)], check=True)
    if rest[0] in STARTERS:
        build_parser().parse_args(['CONFIG', *rest[1 + STARTERS[rest[0]] :]])


def _check_module(name: str, rest: list[str], files: Path) -> None:
    if name == 'torch.distributed.run':
        script = next(x for x in rest if x in PARSERS)
        check(['python', *rest[rest.index(script) :]], files)
    elif name == 'pytest':
        assert all((ROOT / x).exists() for x in rest if '/' in x)
    else:
        parser = importlib.import_module(name).build_parser()
        parser.parse_args(rest)


def _check_config(config: str | None, files: Path) -> None:
    if config is not None and config.endswith('.py'):
        assert (files / config).is_file(), f'there is no {config}'


def run(words: list[str], number: int) -> None:
    """Run a command here, shortened.

    Args:
        words (list[str]): The command, whose folder is the working directory.
        number (int): How many the page had before.
    """
    words = _as_tool(words)
    script, args = words[1], words[2:]
    if words[0] == 'bash' and script in STARTERS:
        subprocess.run(
            ['bash', script, *_shortened(args, number)],
            check=True,
            env={**os.environ, 'PYTHON': sys.executable},
        )
        return
    assert words[0] == 'python', f'what is {shlex.join(words)}?'
    if script == 'tools/train.py':
        args = _shortened(args, number)
    if script not in MAINS:
        subprocess.run([sys.executable, script, *args], check=True)
        return
    code = importlib.import_module(MAINS[script]).main(args)
    assert not code, f'{shlex.join(words)} ends with {code}'


def _shortened(args: list[str], number: int) -> list[str]:
    # The file that a page names is what its first run ends with.
    length = load_config(args[0]).get('train_cfg', {}).get('max_iters')
    args = [x.replace(f'/iter_{length}.pth', '/iter_2.pth') for x in args]
    options = [
        f'train_cfg.max_iters={2 * number + 2}',
        'train_dataloader.batch_size=4',
        'default_hooks.logger.interval=1',
        'val_cfg=None',
        'val_dataloader=None',
        'val_evaluator=None',
        'default_hooks.checkpoint.save_best=None',
        f'experiment_name=page{number}',
    ]
    if '--cfg-options' not in args:
        return [*args, '--cfg-options', *options]
    # What the page sets comes last, and holds.
    at = args.index('--cfg-options') + 1
    return [*args[:at], *options, *args[at:]]
