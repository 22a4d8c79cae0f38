"""Write what the originals of augmentations make, for tests to compare with.

Of NVlabs/stylegan2-ada-pytorch at d72cc7d and
mit-han-lab/data-efficient-gans at 0b63395, on torch 2.13.0+cpu:

    python -m benchmarks.originals.augment STYLEGAN2_ADA DATA_EFFICIENT_GANS

with the folders that the two were cloned to. Their random numbers are written
too, in the order in which ``ADA`` and ``DiffAugment`` draw them.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

OUT = Path('tests/data/originals/augment.pth')
NUM = 6
Figures = dict[str, Any]
BGC = (
    *('xflip', 'rotate90', 'xint', 'scale', 'rotate', 'aniso', 'xfrac'),
    *('brightness', 'contrast', 'lumaflip', 'hue', 'saturation'),
)


def pictures(channels: int, height: int, width: int) -> Tensor:
    """Return blurred noise within [-1, 1]."""
    noise = torch.rand(NUM, channels, height + 4, width + 4)
    blurred = torch.nn.functional.avg_pool2d(noise, 5, 1)
    return ((blurred - 0.5) * 4).clamp(-1, 1)


class Recorder:
    """Keeps what a function of random numbers returned, by its calls."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self.calls: list[Tensor] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Call it."""
        found = self.function(*args, **kwargs)
        self.calls.append(found.float().reshape(NUM, -1))
        return found


def record(
    function: Callable[[Tensor], Tensor], images: Tensor, names: Sequence[str]
) -> tuple[Figures, dict[str, list[Tensor]]]:
    """Call a function; return its result, a gradient, and what it drew."""
    recorders = {name: Recorder(getattr(torch, name)) for name in names}
    images = images.clone().requires_grad_()
    with ExitStack() as stack:
        for name, recorder in recorders.items():
            stack.enter_context(mock.patch.object(torch, name, recorder))
        out = function(images)
    weights = torch.randn_like(out)
    (gradient,) = torch.autograd.grad((out * weights).sum(), images)
    figures: Figures = dict(
        images=images.detach(),
        out=out.detach(),
        weights=weights,
        gradient=gradient,
    )
    return figures, {name: x.calls for name, x in recorders.items()}


def ada(folder: Path) -> Iterator[Figures]:
    """Yield figures of the pipeline ``bgc`` at p = 0.6, and of parts of it."""
    sys.path.insert(0, str(folder))
    from training.augment import AugmentPipe

    geometry = BGC[3:7]
    for seed, (names, p, shape) in enumerate(
        [
            (BGC, 0.6, (3, 12, 12)),
            (BGC, 0.6, (1, 12, 10)),
            (geometry, 1.0, (1, 32, 32)),
            (BGC[7:], 1.0, (3, 8, 8)),
        ]
    ):
        torch.manual_seed(seed)
        # A multiplier too small to matter: all draw their numbers.
        multipliers = {x: 1.0 if x in names else 1e-9 for x in BGC}
        pipe = AugmentPipe(**multipliers)
        pipe.p.fill_(p)
        figures, drawn = record(pipe, pictures(*shape), ('rand', 'randn'))
        figures.update(_ada_draws(drawn, is_grey=shape[0] == 1))
        yield dict(figures, transforms=names, p=p)


def _ada_draws(drawn: dict[str, list[Tensor]], is_grey: bool) -> Figures:
    """Order them as ADA does: gates and values, of shape (N, ...)."""
    nothing = torch.zeros(NUM, 1)
    uniform, normal = iter(drawn['rand']), iter(drawn['randn'])
    value, gate = {}, {}
    for name in BGC:
        if is_grey and name in ('hue', 'saturation'):
            value[name] = gate[name] = nothing
            continue
        is_normal = name in (
            *('scale', 'aniso', 'xfrac'),
            *('brightness', 'contrast', 'saturation'),
        )
        value[name] = next(normal if is_normal else uniform)
        gate[name] = next(uniform)
        if name == 'aniso':
            value['post'], gate['post'] = next(uniform), next(uniform)
    uniforms = [
        *(value['xflip'], gate['xflip'], value['rotate90'], gate['rotate90']),
        *(gate['xint'], value['xint'], gate['scale']),
        *(gate['rotate'], gate['post'], value['rotate'], value['post']),
        *(gate['aniso'], gate['xfrac'], gate['brightness'], gate['contrast']),
        *(value['lumaflip'], gate['lumaflip'], value['hue'], gate['hue']),
        gate['saturation'],
    ]
    normals = [
        *(value['scale'], value['aniso'], value['xfrac']),
        *(value['brightness'], value['contrast'], value['saturation']),
    ]
    return dict(uniform=torch.cat(uniforms, 1), normal=torch.cat(normals, 1))


def diff_augment(folder: Path) -> Iterator[Figures]:
    """Yield figures of each policy."""
    sys.path.insert(0, str(folder))
    from DiffAugment_pytorch import DiffAugment

    for policy, shape in (
        ('color', (3, 8, 8)),
        ('translation', (3, 12, 10)),
        ('cutout', (1, 12, 10)),
        ('color,translation,cutout', (3, 15, 15)),
    ):
        torch.manual_seed(len(policy))
        figures, drawn = record(
            partial(DiffAugment, policy=policy),
            pictures(*shape),
            ('rand', 'randint'),
        )
        numbers = drawn['rand']
        # Whole numbers as the uniform ones that they would be made of.
        sizes = []
        for name in policy.split(','):
            if name == 'translation':
                most = [int(x / 8 + 0.5) for x in shape[1:]]
                sizes += [(-m, 2 * m + 1) for m in most]
            elif name == 'cutout':
                half = [int(x / 2 + 0.5) for x in shape[1:]]
                sizes += [
                    (0, x + 1 - h % 2)
                    for x, h in zip(shape[1:], half, strict=True)
                ]
        numbers += [
            (x - low + 0.5) / size
            for x, (low, size) in zip(drawn['randint'], sizes, strict=True)
        ]
        figures['uniform'] = torch.cat(numbers, 1)
        yield dict(figures, policy=policy.split(','))


def main() -> None:
    """Write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('stylegan2_ada', type=Path)
    parser.add_argument('data_efficient_gans', type=Path)
    args = parser.parse_args()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    figures = dict(
        ada=list(ada(args.stylegan2_ada)),
        diff_augment=list(diff_augment(args.data_efficient_gans)),
    )
    torch.save(figures, OUT)
    print(OUT)


if __name__ == '__main__':
    main()
