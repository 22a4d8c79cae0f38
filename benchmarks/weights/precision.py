"""What the originals' float32 layers gain: ``python -m
benchmarks.weights.precision [--write]``.

Gradients of mmamp's networks as they begin, under autocast, with the rules and
without, and how far they are from those in float32; no original is needed.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import torch
from mmengine.registry import init_default_scope
from torch import Tensor, nn

import mmamp  # noqa: F401  (registers everything)
from benchmarks.results.tables import put_between
from mmamp.precision.placement import place, places_of
from mmamp.precision.rules import parse_rule
from mmamp.registry import MODELS

from .recipes import noise
from .tables import PAGES

MARKS = (
    '<!-- begin: python -m benchmarks.weights.precision -->',
    '<!-- end: python -m benchmarks.weights.precision -->',
)
SEEDS = range(3)
LOW = (torch.float16, torch.bfloat16)
ADA = [
    dict(pattern=r'generator\.mapping_network', dtype='float32'),
    dict(pattern=r'generator\.blocks\.[01]', dtype='float32'),
    dict(pattern=r'discriminator\.blocks\.[4-7]', dtype='float32'),
    dict(
        pattern=r'discriminator\.(minibatch_std|conv|linear|out)',
        dtype='float32',
    ),
]
"""StyleGAN2-ADA's rules at 128x128."""


@dataclass(frozen=True)
class Family:
    """What is measured.

    Args:
        name (str): In the table.
        rules (list): Of ``PrecisionHook``.
        said (str): What they are, in the table.
        noise_size (int): Length of the latent.
        image_size (int): Of the images.
        networks (dict): Of the config.
        classes (int, optional): How many. Defaults to None: there are none.
        trains (bool): Whether networks are in training mode. Defaults to
            False.
    """

    name: str
    rules: list[Any]
    said: str
    noise_size: int
    image_size: int
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    classes: int | None = None
    trains: bool = False


def families() -> list[Family]:
    """Return all of them, made small."""
    stylegan2 = dict(
        image_size=128, channel_base=4096, channel_max=64, conv_clamp=256.0
    )
    biggan = dict(image_size=64, num_classes=10, attention_size=32)
    return [
        Family(
            'StyleGAN2 at 128x128',
            ADA,
            'StyleGAN2-ADA',
            64,
            128,
            dict(
                generator=dict(
                    type='StyleGAN2Generator',
                    noise_size=64,
                    style_size=64,
                    **stylegan2,
                ),
                discriminator=dict(type='StyleGAN2Discriminator', **stylegan2),
            ),
        ),
        Family(
            'BigGAN at 64x64',
            ['normalization'],
            "`'normalization'`",
            100,
            64,
            dict(
                generator=dict(
                    type='BigGANGenerator',
                    base_channels=8,
                    noise_size=100,
                    embedding_size=32,
                    **biggan,
                ),
                discriminator=dict(
                    type='BigGANDiscriminator', base_channels=8, **biggan
                ),
            ),
            classes=10,
            trains=True,
        ),
    ]


def measure(family: Family, seed: int) -> dict[tuple[str, str, bool], float]:
    """Return distances to float32 by network, dtype, and whether with rules.

    Args:
        family (Family): What is measured.
        seed (int): Of weights and inputs.
    """
    init_default_scope('mmamp')
    torch.manual_seed(seed)
    model: Any = nn.Module()
    for name, cfg in family.networks.items():
        setattr(model, name, MODELS.build(cfg).train(family.trains))
    ruled = deepcopy(model)
    rules = [parse_rule(rule) for rule in family.rules]
    place(rules, places_of(ruled))
    distances = {}
    for name in family.networks:
        shape: tuple[int, ...] = (4, family.noise_size)
        if name == 'discriminator':
            shape = (4, 3, family.image_size, family.image_size)
        x = noise(shape, seed=seed)
        exact = _gradient(getattr(model, name), x, family, None)
        for dtype in LOW:
            for with_rules in (False, True):
                network = getattr(ruled if with_rules else model, name)
                found = _gradient(network, x, family, dtype)
                key = name, str(dtype).removeprefix('torch.'), with_rules
                distances[key] = float((found - exact).norm() / exact.norm())
    return distances


def _gradient(
    network: nn.Module, x: Tensor, family: Family, dtype: Any
) -> Tensor:
    state = deepcopy(network.state_dict())
    arguments = [x]
    if family.classes is not None:
        arguments.append(torch.arange(len(x)) % family.classes)
    with torch.autocast('cpu', dtype=dtype, enabled=dtype is not None):
        output = network(*arguments).float()
    network.zero_grad()
    (output * noise(output.shape, seed=99)).sum().backward()
    network.load_state_dict(state)
    return torch.cat(
        [
            p.grad.flatten().double()
            for p in network.parameters()
            if p.grad is not None
        ]
    )


def table() -> str:
    """Measure, and return the table."""
    head = ['networks', 'rules', '']
    head += ['float16', 'with the rules', 'bfloat16', 'with the rules']
    rows = [head, ['---'] * len(head)]
    for family in families():
        found = [measure(family, seed) for seed in SEEDS]
        for name in family.networks:
            row = [family.name, family.said, name]
            for dtype in ('float16', 'bfloat16'):
                for ruled in (False, True):
                    values = [x[name, dtype, ruled] for x in found]
                    row.append(f'{statistics.mean(values):.1e}')
            rows.append(row)
            print(row, file=sys.stderr)
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure.

    Args:
        argv (Sequence[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: 0.
    """
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.weights.precision', description=__doc__
    )
    parser.add_argument(
        '--write', action='store_true', help='put the table into the pages'
    )
    args = parser.parse_args(argv)
    text = table()
    print(text)
    if args.write:
        said = f'torch {version("torch")}, on a CPU, means of 3 seeds:'
        for page in PAGES:
            put_between(page, *MARKS, f'{said}\n\n{text}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
