"""Compare the first gradients of a shipped config in several precisions.

``python gradients.py NAME FOLDER [--seeds N] [--rules PATTERN ...]`` in the
toolboxes' environment; see ``entries.py`` for the names. Each way computes the
loss of one batch, in training mode, with the same weights and random numbers:

- ``float32``;
- ``float32, rounded to ...``: in float32 too, but from weights and pictures
  that were rounded once: how much so small a change does by itself;
- ``bfloat16`` and ``float16``: under autocast, as mmamp trains;
- ``..., PATTERN``: with what a rule matches in float32.

It prints a table in Markdown: medians over seeds, which differ in weights and
data, with the lowest and the highest. The largest gradient that an output of a
module or a parameter gets says which static loss scale float16 can hold.
"""

import argparse
import copy
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import data
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, set_random_seed
from torch import Tensor, nn
from trial import ENTRIES, Trial

from mmamp.engine.hooks import PrecisionHook
from mmamp.precision.autocast import autocast

DTYPES = {
    'float32': torch.float32,
    'bfloat16': torch.bfloat16,
    'float16': torch.float16,
}
START = 2.0**16
"""Of a loss scale in float16, which is halved until all is finite."""


class Gradients:
    """Those of one way, and its loss."""

    def __init__(self, model: nn.Module, loss: float, scale: float) -> None:
        self.loss, self.scale = loss, scale
        self.values = {
            name: x.grad.double() / scale
            for name, x in model.named_parameters()
            if x.grad is not None
        }

    def dot(self, other: 'Gradients') -> float:
        """Return the product with other ones."""
        return sum(
            float((x * other.values[name]).sum())
            for name, x in self.values.items()
            if name in other.values
        )

    @property
    def norm(self) -> float:
        """float: Of all of them as one vector."""
        return self.dot(self) ** 0.5

    def cosine(self, other: 'Gradients') -> float:
        """Return that of the angle between them and other ones."""
        return self.dot(other) / (self.norm * other.norm)


def gradients(
    model: nn.Module, batch: Any, dtype: torch.dtype, seed: int
) -> Gradients:
    """Compute the gradients of a batch's loss.

    Args:
        model (nn.Module): Its gradients are left there.
        batch (Any): As the data loader gives it.
        dtype (torch.dtype): What autocast computes in.
        seed (int): Of what the model draws.
    """
    scale = START if dtype is torch.float16 else 1.0
    while True:
        set_random_seed(seed)
        model.zero_grad()
        with autocast('cpu', dtype):
            inputs = model.data_preprocessor(copy.deepcopy(batch), True)
            losses = model(**inputs, mode='loss')
            loss, _ = model.parse_losses(losses)
        (loss * scale).backward()
        found = Gradients(model, float(loss), scale)
        if torch.tensor(found.norm).isfinite() or scale < 1:
            return found
        scale /= 2


def largest(model: nn.Module, batch: Any, seed: int) -> float:
    """Return the largest gradient of an output or a parameter, in float32."""
    found = [0.0]

    def keep(gradient: Tensor) -> None:
        found.append(float(gradient.abs().max()))

    def watch(module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(keep)

    handles = [x.register_forward_hook(watch) for x in model.modules()]
    full = gradients(model, batch, torch.float32, seed)
    for handle in handles:
        handle.remove()
    return max(found + [float(x.abs().max()) for x in full.values.values()])


def rounded(model: nn.Module, batch: Any, dtype: torch.dtype) -> Any:
    """Round weights in place, and return a batch with rounded pictures."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))
    return _rounded(batch, dtype)


def _rounded(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.to(dtype).to(value.dtype)
    if isinstance(value, dict):
        return {k: _rounded(v, dtype) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(x, dtype) for x in value]
    return value


def ways(
    cfg: Config, seed: int, rules: list[str]
) -> Iterator[tuple[str, Gradients]]:
    """Yield the gradients of each way, with one seed; float32 is first."""
    set_random_seed(seed)
    loader = Runner.build_dataloader(copy.deepcopy(cfg.train_dataloader), seed)
    batch = next(iter(loader))
    model = MODELS.build(copy.deepcopy(cfg.model))
    model.init_weights()
    model.train()
    state = copy.deepcopy(model.state_dict())

    def fresh() -> nn.Module:
        model.load_state_dict(state)
        return model

    full = gradients(fresh(), batch, torch.float32, seed)
    full.largest = largest(fresh(), batch, seed)
    yield 'float32', full
    for name in ('bfloat16', 'float16'):
        dtype = DTYPES[name]
        changed = rounded(fresh(), batch, dtype)
        yield (
            f'float32, rounded to {name}',
            gradients(model, changed, torch.float32, seed),
        )
        yield name, gradients(fresh(), batch, dtype, seed)
    for rule in rules:
        ruled = MODELS.build(copy.deepcopy(cfg.model)).train()
        ruled.load_state_dict(state)
        runner = SimpleNamespace(model=ruled, optim_wrapper=None)
        PrecisionHook([dict(pattern=rule)]).before_run(runner)
        for name in ('bfloat16', 'float16'):
            found = gradients(ruled, batch, DTYPES[name], seed)
            yield f'{name}, `{rule}`', found
            ruled.load_state_dict(state)


def spread(values: list[float], digits: str) -> str:
    """Format a median, the lowest and the highest."""
    low, mid, high = (f(values) for f in (min, median, max))
    return f'{mid:{digits}} ({low:{digits}} to {high:{digits}})'


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name')
    parser.add_argument('folder', type=Path)
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--rules', nargs='*', default=[])
    parser.add_argument(
        '--large', action='store_true', help='pictures of the size as shipped'
    )
    args = parser.parse_args()
    (entry,) = (x for x in ENTRIES if x.name == args.name)
    if args.large:
        entry = replace(entry, sizes=False)
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data.make(folder)
    os.chdir(folder)
    torch.set_num_threads(1)
    name = entry.toolbox
    __import__(f'{name}.utils', fromlist=['']).register_all_modules()
    trial = Trial(entry, folder / 'runs' / args.name.replace('/', '_'))
    cfg = Config.fromfile(trial.config)
    init_default_scope(cfg.get('default_scope', name))
    # Some models ask where the run is.
    MessageHub.get_instance('gradients').update_info('iter', 0)
    found: dict[str, dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for seed in range(args.seeds):
        for way, it in ways(cfg, seed, args.rules):
            if way == 'float32':
                full = it
            of_way = found[way]
            of_way['norm'].append(it.norm)
            of_way['ratio'].append(it.norm / full.norm)
            of_way['cosine'].append(it.cosine(full))
            of_way['scale'].append(it.scale)
        found['float32']['largest'].append(full.largest)
    print('| | norm | over float32 | cosine to float32 | loss scale |')
    print('| --- | --- | --- | --- | --- |')
    for way, of_way in found.items():
        cells = [
            way,
            spread(of_way['norm'], '.3g'),
            spread(of_way['ratio'], '.3f'),
            spread(of_way['cosine'], '.3f'),
            spread(of_way['scale'], '.0f') if 'float16' in way else '',
        ]
        print(f'| {" | ".join(cells)} |', flush=True)
    print(
        'largest gradient of an output or a parameter, in float32: '
        + spread(found['float32']['largest'], '.3g')
    )


if __name__ == '__main__':
    main()
