"""Averages of generators, by what BatchNorm's statistics they are scored with.

``python -m benchmarks.averages [NAME ...] [--write]`` trains the reference
configs whose generators have BatchNorm, in float32, and scores each run's
generator, and its average with three kinds of statistics. What came of a run
is kept in a file, so that a command that was cut off goes on. ``--write`` puts
the table into the pages.
"""

import argparse
import copy
import statistics
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import DefaultScope
from torch import Tensor, nn

import mmamp  # noqa: F401  (registers everything)
from benchmarks import json_lines
from benchmarks.results.tables import put_between
from mmamp.engine.optimizers import OptimWrapperConstructor
from mmamp.models.base.standing_statistics import (
    DEFAULT_BATCHES,
    DEFAULT_SIZE,
    estimate,
)
from mmamp.registry import DATASETS, METRICS, MODELS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / f'docs/{x}/evaluation.md' for x in ('en', 'zh_cn')]
MARKS = (
    '<!-- begin: benchmarks/averages.py -->',
    '<!-- end: benchmarks/averages.py -->',
)
KINDS = ('raw', 'copied', 'averaged', 'standing')
UPDATES = dict(dcgan=300, lsgan=300, sagan=300, biggan=300, wgan_gp=300)
"""Of the generator, by config."""
SEEDS = (0, 1, 2)
BATCH = 64
Scores = dict[str, float]


def config_of(name: str) -> Config:
    """Return a reference config."""
    file = 'wgan-gp' if name == 'wgan_gp' else name
    return Config.fromfile(ROOT / f'configs/{name}/{file}_digits-32x32.py')


def scores(name: str, seed: int, updates: int) -> Scores:
    """Train a config, and return FID by kind of statistics.

    Args:
        name (str): Of the config.
        seed (int): Of weights, data and latents.
        updates (int): Of the generator.
    """
    torch.manual_seed(seed)
    cfg = config_of(name)
    # Those of the trained generator, which are copied with each update.
    cfg.model.ema_config.standing_batches = 0
    for side in ('generator', 'discriminator'):
        # A batch is one update here.
        cfg.optim_wrapper[side].pop('accumulative_counts', None)
        cfg.optim_wrapper[side].type = 'OptimWrapper'
        cfg.optim_wrapper[side].pop('loss_scale', None)
    with DefaultScope.overwrite_default_scope('mmamp'):
        model = MODELS.build(cfg.model)
        model.init_weights()
        data = DATASETS.build(cfg.train_dataloader.dataset)
        wrappers = OptimWrapperConstructor(cfg.optim_wrapper)(model)
    averaged = ExponentialMovingAverage(
        model.generator, cfg.model.ema_config.momentum, update_buffers=True
    )
    images, labels = _all_of(data)
    model.train()
    for _ in range(updates):
        for _ in range(model.discriminator_steps):
            chosen = torch.randint(len(images), (BATCH,))
            model.train_step(
                dict(
                    inputs=images[chosen],
                    data_samples=dict(gt_label=labels[chosen]),
                ),
                wrappers,
            )
        averaged.update_parameters(model.generator)
    copied = model.generator_ema.module
    standing = copy.deepcopy(copied)
    estimate(
        standing,
        lambda i: model.standing_inputs(i, DEFAULT_SIZE),
        DEFAULT_BATCHES,
    )
    networks = (model.generator, copied, averaged.module, standing)
    metric = METRICS.build(
        dict(
            type='mmamp.FeatureMetric',
            metrics=['FID'],
            feature_network=dict(
                type='mmamp.DigitFeatures',
                checkpoint=str(
                    ROOT / 'configs/digit_features/'
                    'digit_features_cnn-32x32.pth'
                ),
            ),
        )
    )
    return {
        kind: _fid(metric, model, network, images)
        for kind, network in zip(KINDS, networks, strict=True)
    }


def _all_of(data: Any) -> tuple[Tensor, Tensor]:
    items = [data[i] for i in range(len(data))]
    images = torch.stack([torch.as_tensor(x['inputs']) for x in items])
    labels = [int(x['data_samples']['gt_label']) for x in items]
    return images, torch.tensor(labels)


@torch.no_grad()
def _fid(metric: Any, model: Any, network: nn.Module, images: Tensor) -> float:
    """Score as many generated images as there are real ones."""
    latents = [x for x in model.latents(len(images)) if x is not None]
    network.eval()
    for real, *part in zip(
        images.split(256), *(x.split(256) for x in latents), strict=True
    ):
        fake = model.data_preprocessor.to_uint8(network(*part))
        metric.process(dict(inputs=real), [dict(fake_img=x) for x in fake])
    found: float = metric.evaluate(len(images))['FID']
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Make the table, in Markdown.

    Args:
        rows (list[dict]): What came of each run.
    """
    head = ['config', 'the generator', 'its average: copied']
    head += ['averaged', 'standing (the default)']
    lines = [head, ['---'] * len(head)]
    for name in UPDATES:
        runs = [row for row in rows if row['name'] == name]
        if len(runs) < len(SEEDS):
            continue
        cells = [f'`{name}`, {runs[0]["updates"]} updates']
        for kind in KINDS:
            values = [row[kind] for row in runs]
            spread = f'{min(values):.2f} to {max(values):.2f}'
            cells.append(f'{statistics.mean(values):.2f} ({spread})')
        lines.append(cells)
    return '\n'.join(f'| {" | ".join(x)} |' for x in lines)


def main(argv: list[str] | None = None) -> None:
    """Train, tabulate and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*', choices=[[], *UPDATES])
    parser.add_argument(
        '--file', type=Path, default=Path('work_dirs/averages.jsonl')
    )
    parser.add_argument('--write', action='store_true')
    args = parser.parse_args(argv)
    args.file.parent.mkdir(parents=True, exist_ok=True)
    rows = json_lines.read(args.file) if args.file.exists() else []
    for name in args.names or UPDATES:
        for seed in SEEDS:
            what = dict(name=name, seed=seed, updates=UPDATES[name])
            if any(what.items() <= row.items() for row in rows):
                continue
            row = {**what, **scores(name, seed, UPDATES[name])}
            json_lines.add(args.file, row)
            rows.append(row)
            print(row, flush=True)
    text = table(rows)
    print(text)
    if args.write:
        for page in PAGES:
            put_between(page, *MARKS, text)


if __name__ == '__main__':
    main()
