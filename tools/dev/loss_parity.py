"""Whether a change left training as it was, bit for bit, on a CPU.

``python tools/dev/loss_parity.py OLD_CHECKOUT`` trains the configs named below
in three precisions, in a checkout of another commit and in this one, and
compares every logged number, times and memory apart, and the last checkpoint.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from mmamp.config.amp import mixed_optimizers
from mmamp.precision.names import COMPARED, FULL

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = (
    'dcgan/dcgan_digits-32x32.py',
    'biggan/biggan_digits-32x32.py',
    'stylegan2/stylegan2_digits-32x32.py',
)
NOT_COMPARED = ('time', 'data_time', 'memory')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('old', type=Path, help='a checkout of another commit')
    parser.add_argument('--configs', nargs='+', default=CONFIGS)
    parser.add_argument('--iters', type=int, default=20)
    return parser.parse_args()


def trained(
    tree: Path, config: str, precision: str, iters: int, out: Path
) -> tuple[list[dict[str, Any]], Any]:
    """Train in a checkout; return what it logged and its last checkpoint."""
    path = f'configs/{config}'
    options = [
        f'train_cfg.max_iters={iters}',
        f'train_cfg.val_interval={iters}',
        'default_hooks.logger.interval=1',
        'randomness.seed=0',
        f'default_hooks.checkpoint.interval={iters}',
    ]
    amp = ['--amp', '--amp-dtype', precision]
    if precision == FULL:
        keys = mixed_optimizers(Config.fromfile(str(ROOT / path)))
        amp, more = [], [f'{key}.dtype={FULL}' for key in keys]
        options += more
    command = [sys.executable, '-m', 'mmamp.train', path, *amp]
    command += ['--work-dir', str(out), '--cfg-options', *options]
    subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, 'PYTHONPATH': str(tree), 'OMP_NUM_THREADS': '1'},
        check=True,
        capture_output=True,
    )
    (scalars,) = out.rglob('scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    logged = [
        {k: v for k, v in row.items() if k not in NOT_COMPARED} for row in rows
    ]
    checkpoint = torch.load(out / f'iter_{iters}.pth', weights_only=True)
    return logged, checkpoint['state_dict']


def differing(old: Any, new: Any) -> list[str]:
    """Return the names whose tensors are not the same, bit for bit."""
    names = {*old, *new}
    return sorted(
        x
        for x in names
        if x not in old or x not in new or _differ(old, new, x)
    )


def _differ(old: Any, new: Any, name: str) -> bool:
    a, b = old[name], new[name]
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype != b.dtype or not torch.equal(a, b)
    return bool(a != b)


def main() -> int:
    """Compare; return 0 if all is the same, else 1."""
    args = parse_args()
    is_same = True
    for config in args.configs:
        for precision in COMPARED:
            with tempfile.TemporaryDirectory() as folder:
                (then, old), (now, new) = (
                    trained(
                        tree.resolve(),
                        config,
                        precision,
                        args.iters,
                        Path(folder, name),
                    )
                    for name, tree in (('old', args.old), ('new', ROOT))
                )
            rows = [
                i
                for i, x in enumerate(zip(then, now, strict=False))
                if x[0] != x[1]
            ]
            found = differing(old, new)
            good = not rows and not found and len(then) == len(now)
            is_same &= good
            print(
                f'{config} {precision}: '
                + (
                    f'the same: {len(now)} logged rows, {len(new)} tensors'
                    if good
                    else f'differs: rows {rows[:5]}, tensors {found[:5]}'
                ),
                flush=True,
            )
    return 0 if is_same else 1


if __name__ == '__main__':
    sys.exit(main())
