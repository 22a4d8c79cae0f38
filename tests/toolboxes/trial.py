"""Train one shipped config of a toolbox in all ways that mmamp promises.

``python trial.py NAME FOLDER`` in the toolboxes' environment; prints a line of
JSON for each way. See ``entries.py`` for the names.
"""

import ast
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

import data  # noqa: E402
import torch  # noqa: E402
from entries import ENTRIES, Entry  # noqa: E402
from mmengine.config import Config  # noqa: E402
from small import dicts, small, text_of  # noqa: E402

import mmamp.plan.command  # noqa: E402
import mmamp.report.command  # noqa: E402
import mmamp.train  # noqa: E402
from mmamp.config import enable_amp  # noqa: E402
from mmamp.logging.scalars import (  # noqa: E402
    GRAD_NORM,
    LOSS_SCALE,
    SKIPPED_STEPS,
)
from mmamp.precision.names import FULL  # noqa: E402
from mmamp.report.trial_config import in_dtype  # noqa: E402

HOOKS = (
    'AmpMonitorHook',
    'OverflowHook',
    'StateHook',
    'PreemptionHook',
    'EvalPrecisionHook',
)
FLOAT16 = ('--amp', '--amp-dtype', 'float16')
STATIC = (*FLOAT16, '--loss-scale', '512')
RULES = 5
"""How many are taken over from a config's logs, one after the other."""
LONGER = 4
"""Times as long a run is, where the loss scale was still on its way down."""


def in_child(log: Path, call: Callable[[], int], until: Any = None) -> int:
    """Call in a process of its own, which begins with all imported.

    Args:
        log (Path): Gets what it prints.
        call (Callable): Returns an exit code.
        until (Callable, optional): It is killed once this is true.

    Returns:
        int: The exit code; -9 if it was killed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if not pid:
        file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        code = 1
        try:
            code = call()
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    while True:
        found, status = os.waitpid(pid, os.WNOHANG if until else 0)
        if found:
            return os.waitstatus_to_exitcode(status)
        if until():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -signal.SIGKILL
        time.sleep(0.01)


class Trial:
    """One config, and the folder that its runs are in."""

    def __init__(self, entry: Entry, folder: Path) -> None:
        self.entry, self.folder = entry, folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        child = folder / 'shipped.py'
        child.write_text(f'_base_ = {entry.base!r}\n', 'utf-8')
        self.config = folder / 'config.py'
        cfg = small(Config.fromfile(child), entry.sizes, entry.edit)
        self.config.write_text(text_of(cfg), 'utf-8')

    def config_of(self, name: str) -> Path:
        """Return the config of a run: one of its own, where that is there."""
        own = self.folder / f'{name.removesuffix("_resumed")}.py'
        return own if own.exists() else self.config

    def train(self, name: str, *args: str, until: Any = None) -> int:
        """Train with mmamp's launcher; return the exit code."""
        config = str(self.config_of(name))
        argv = [config, '--work-dir', str(self.folder / name), *args]
        return in_child(
            self.folder / f'{name}.txt',
            lambda: mmamp.train.main(argv),
            until,
        )

    def checkpoints(self, name: str) -> list[Path]:
        """Return those of a run, in the order of their making."""
        found = (self.folder / name).glob('*.pth')
        number = {x: int(x.stem.rpartition('_')[2]) for x in found}
        return sorted(number, key=lambda x: number[x])

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return what a run logged."""
        (path, *_) = (self.folder / name).rglob('scalars.json')
        return [json.loads(x) for x in path.read_text().splitlines()]

    # ---- the ways ----------------------------------------------------------

    def mended(self, name: str) -> str | None:
        """Take over the rule that a run's log names; return what it is of."""
        text = (self.folder / f'{name}.txt').read_text()
        found = re.search(r"rules=\[dict\(pattern='([^']*)'", text)
        if found is None:
            return None
        cfg = Config.fromfile(self.config_of(name))
        cfg.custom_hooks = [
            *cfg.get('custom_hooks', []),
            dict(
                type='mmamp.PrecisionHook',
                rules=[dict(pattern=ast.literal_eval(f"'{found[1]}'"))],
            ),
        ]
        (self.folder / f'{name}.py').write_text(text_of(cfg), 'utf-8')
        return found[1]

    def full(self) -> dict[str, Any]:
        """Train in float32, with mmamp's wrappers, which log gradients."""
        path = self.folder / 'float32.py'
        path.write_text(
            text_of(in_dtype(enable_amp(Config.fromfile(self.config)), FULL)),
            'utf-8',
        )
        return self.low('float32')

    def low(self, name: str, *args: str) -> dict[str, Any]:
        """Train, and tell what came of it; with a rule, if one is named."""
        began = time.time()
        code = self.train(name, *args)
        rules: list[str] = []
        while code and len(rules) < RULES and (rule := self.mended(name)):
            if rule in rules:
                break
            rules.append(rule)
            shutil.rmtree(self.folder / name, ignore_errors=True)
            code = self.train(name, *args)
        row = dict(code=code, seconds=time.time() - began, rules=rules)
        text = (self.folder / f'{name}.txt').read_text()
        if code:
            return dict(row, why=why(text))
        rows = self.rows(name)
        rows = [x for x in rows if any('loss' in key for key in x)]
        last = {k: v for x in rows for k, v in x.items()}
        return dict(
            row,
            first=first_loss(rows[0]),
            norms=first_norms(rows[0]),
            largest=max(
                (v for x in rows for k, v in x.items() if GRAD_NORM in k),
                default=None,
            ),
            skipped=sum(
                v for k, v in last.items() if k.endswith(SKIPPED_STEPS)
            ),
            validated='(val)' in text,
            by_itself='From here on' in text,
            gave_up='Evaluation goes on in float32' in text,
        )

    def float16(self) -> dict[str, Any]:
        """Train in float16, longer where every window was skipped."""
        row = self.low('float16', *FLOAT16)
        if row['code'] or row['largest'] is not None:
            return row
        cfg = Config.fromfile(self.config_of('float16'))
        for key in ('max_iters', 'max_epochs', 'val_interval'):
            if key in cfg.train_cfg:
                cfg.train_cfg[key] *= LONGER
        (self.folder / 'longer.py').write_text(text_of(cfg), 'utf-8')
        return self.low('longer', *FLOAT16)

    def resumed(self, name: str, *args: str) -> dict[str, Any]:
        """Kill a run at its first checkpoint, go on, and compare."""
        whole = self.checkpoints(name)
        other = f'{name}_resumed'
        first = self.folder / other / whole[0].name
        killed = self.train(other, *args, until=first.exists)
        code = self.train(other, *args, '--resume')
        if code:
            return dict(
                code=code,
                killed=killed,
                why=why((self.folder / f'{other}.txt').read_text()),
            )
        old, new = (
            torch.load(x, weights_only=True, map_location='cpu')['state_dict']
            for x in (whole[-1], self.checkpoints(other)[-1])
        )
        differ = [
            key
            for key in old
            if isinstance(old[key], torch.Tensor)
            and not torch.equal(old[key], new[key])
            and not (old[key] != old[key]).any()
        ]
        return dict(
            code=code,
            killed=killed,
            exact=not differ and len(whole) > 1,
            differ=differ[:3],
        )

    def own(self) -> dict[str, Any]:
        """Train with the toolbox's train.py and the hooks of the docs."""
        cfg = Config.fromfile(self.config_of('amp'))
        # As in a config of the toolbox itself, which inherits none of another.
        for node in dicts(cfg._cfg_dict):
            if isinstance(collate := node.get('collate_fn'), dict):
                collate.pop('_scope_', None)
        cfg.custom_imports = dict(imports=['mmamp'])
        cfg.custom_hooks = [
            *cfg.get('custom_hooks', []),
            *(dict(type=f'mmamp.{x}') for x in HOOKS),
        ]
        cfg.default_hooks.checkpoint.type = 'mmamp.CheckpointHook'
        cfg.default_hooks.runtime_info = dict(type='mmamp.RuntimeInfoHook')
        cfg = enable_amp(cfg, 'bfloat16')
        path = self.folder / 'own.py'
        path.write_text(text_of(cfg), 'utf-8')
        package = importlib.import_module(self.entry.toolbox)
        tool = Path(str(package.__file__)).parent / '.mim/tools/train.py'

        def run() -> int:
            sys.argv = [
                str(tool),
                str(path),
                '--work-dir',
                str(self.folder / 'own'),
            ]
            code = compile(tool.read_text(), str(tool), 'exec')
            exec(code, {'__name__': '__main__', '__file__': str(tool)})
            return 0

        code = in_child(self.folder / 'own.txt', run)
        text = (self.folder / 'own.txt').read_text()
        return dict(
            code=code,
            saved=bool(self.checkpoints('own')),
            validated='(val)' in text,
            why=why(text) if code else '',
        )

    def report(self) -> dict[str, Any]:
        """Have ``tools/amp_report.py`` try float32 and bfloat16."""
        out = self.folder / 'report'
        argv = [str(self.config), '--out', str(out), '--iters', '10']
        code = in_child(
            self.folder / 'report.txt',
            lambda: mmamp.report.command.main([*argv, '--dtypes', 'bfloat16']),
        )
        text = (self.folder / 'report.txt').read_text()
        if code:
            return dict(code=code, why=why(text))
        found = json.loads((out / 'report.json').read_text())
        return dict(code=code, verdict=found['verdict'])

    def plan(self) -> dict[str, Any]:
        """Compare the memory that a plan predicts with what a run takes."""
        out = self.folder / 'plan'
        argv = [str(self.config), '--dtypes', 'bfloat16', '--out', str(out)]
        code = in_child(
            self.folder / 'plan.txt',
            lambda: mmamp.plan.command.main([*argv, '--device', 'cpu']),
        )
        if code:
            return dict(
                code=code, why=why((self.folder / 'plan.txt').read_text())
            )
        (row,) = json.loads((out / 'plan.json').read_text())['rows']
        case = dict(config=str(self.config), dtype='bfloat16', as_is=True)
        done = subprocess.run(
            [
                *(sys.executable, '-m', 'benchmarks.plan.measure'),
                *(json.dumps(case), 'measure'),
            ],
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return dict(code=done.returncode, why=why(done.stderr))
        (found,) = json.loads(done.stdout.splitlines()[-1]).values()
        return dict(
            code=0,
            predicted=row['peak']['total'],
            measured=found['peak'],
        )


def why(text: str) -> str:
    """Return the line of a log that names an error, the last of them."""
    lines = re.findall(r'^[\w.]*(?:Error|Exception|Interrupt)\b.*', text, re.M)
    return (lines or text.splitlines() or [''])[-1][:300]


def first_loss(row: dict[str, Any]) -> float:
    """Return the loss of a line of the log; of a GAN the sum of its losses."""
    losses = {
        k: v for k, v in row.items() if 'loss' in k and LOSS_SCALE not in k
    }
    return losses.get('loss', sum(losses.values()))


def first_norms(row: dict[str, Any]) -> dict[str, float]:
    """Return gradient norms of a line, of optimizers that skipped nothing."""
    return {
        key: value
        for key, value in row.items()
        if key.endswith(GRAD_NORM)
        and not row.get(key.replace(GRAD_NORM, SKIPPED_STEPS))
    }


WAYS: dict[str, Callable[[Trial], dict[str, Any]]] = {
    'float32': Trial.full,
    'amp': lambda t: t.low('amp', '--amp'),
    'float16': Trial.float16,
    'resumed': lambda t: t.resumed('amp', '--amp'),
    'own': Trial.own,
    'report': Trial.report,
    'plan': Trial.plan,
    'static': lambda t: t.low('static', *STATIC),
}
FIRST = tuple(WAYS)[:-3]
"""Those that are tried if none is named."""


def main(name: str, folder: str, *ways: str) -> None:
    """Print what came of each way."""
    (entry,) = (x for x in ENTRIES if x.name == name)
    where = Path(folder).resolve()
    where.mkdir(parents=True, exist_ok=True)
    data.make(where)
    os.chdir(where)
    torch.set_num_threads(1)
    importlib.import_module(f'{entry.toolbox}.utils').register_all_modules()
    trial = Trial(entry, where / 'runs' / name.replace('/', '_'))
    for way in ways or FIRST:
        try:
            row = WAYS[way](trial)
        except Exception as error:
            row = dict(code=-1, error=f'{type(error).__name__}: {error}')
        print(json.dumps(dict(name=name, way=way, **row)), flush=True)
    for path in trial.folder.rglob('*.pth'):
        path.unlink()


if __name__ == '__main__':
    main(*sys.argv[1:])
