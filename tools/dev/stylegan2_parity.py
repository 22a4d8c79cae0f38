"""StyleGAN2 beside StyleGAN2-ADA's networks, on the same weights.

``python tools/dev/stylegan2_parity.py CLONE`` takes a clone of
https://github.com/NVlabs/stylegan2-ada-pytorch at d72cc7d, whose operators run
as their references, and prints relative differences of outputs and gradients.
``--write`` keeps figures of the original for
``tests/test_models/test_archs/test_conditional_stylegan2.py``.
"""

import argparse
import importlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.models import StyleGAN2Discriminator, StyleGAN2Generator

ORIGINAL = 'stylegan2-ada-pytorch d72cc7d'
FILE = Path(__file__).parents[2] / 'tests/data/stylegan2_ada.json'
SIZE, CLASSES, BATCH = 16, 3, 4
WIDTHS = dict(channel_base=128, channel_max=16)
RULES = (
    (r'mapping\.fc(\d+)\.(\w+)', r'mapping_network.layers.\1.\2'),
    (r'mapping\.embed\.(\w+)', r'mapping_network.embedding.\1'),
    (r'mapping\.w_avg', 'w_average'),
    (r'synthesis\.b4\.const', 'constant'),
    (r'synthesis\.b(\d+)\.torgb\.bias', r'blocks.{up}.to_rgb.bias'),
    (r'synthesis\.b(\d+)\.torgb\.(.*)', r'blocks.{up}.to_rgb.conv.\2'),
    (r'synthesis\.b4\.conv1\.(.*)', r'blocks.0.convs.0.{\1}'),
    (r'synthesis\.b(\d+)\.conv(\d)\.(.*)', r'blocks.{up}.convs.\2.{\3}'),
    (r'b(\d+)\.fromrgb\.weight', 'from_rgb.conv.weight'),
    (r'b(\d+)\.fromrgb\.bias', 'from_rgb.bias'),
    (r'b4\.conv\.weight', 'conv.conv.weight'),
    (r'b4\.conv\.bias', 'conv.bias'),
    (r'b4\.fc\.(.*)', r'linear.\1'),
    (r'b4\.out\.(.*)', r'out.\1'),
    (r'b(\d+)\.skip\.weight', r'blocks.{down}.skip.weight'),
    (r'b(\d+)\.conv(\d)\.weight', r'blocks.{down}.conv\2.conv.weight'),
    (r'b(\d+)\.conv(\d)\.bias', r'blocks.{down}.conv\2.bias'),
)
"""Names there, and names here."""


def name_here(name: str) -> str | None:
    """Return the name here of a weight of the original, if it has one."""
    if name.endswith('resample_filter'):
        return None
    for pattern, template in RULES:
        match = re.fullmatch(pattern, name)
        if match is None:
            continue
        result = match.expand(template)
        if '{up}' in result or '{down}' in result:
            size = int(match[1]).bit_length()
            result = result.replace('{up}', str(size - 3))
            result = result.replace('{down}', str(SIZE.bit_length() - size))
        result = result.replace('{noise_const}', 'noise')
        for own in ('bias', 'noise_strength'):
            result = result.replace(f'{{{own}}}', own)
        return re.sub(r'\{(.*)\}', r'conv.\1', result)
    raise ValueError(f'{name!r} is no name of the original')


def fill(network: nn.Module) -> None:
    """Give a network weights that are a function of where they are."""
    for i, (name, tensor) in enumerate(sorted(network.state_dict().items())):
        steps = torch.arange(tensor.numel(), dtype=torch.float64)
        values = torch.sin(1.7 * steps + i + 0.3) * 1.4
        scale = 0.3 if name.endswith(('bias', 'strength')) else 1.0
        if re.search(r'mapping_network\.layers.*weight', name):
            scale = 100.0  # which learn at a hundredth
        tensor.copy_((scale * values).view(tensor.shape))


def inputs() -> dict[str, Tensor]:
    """Return what the networks are called with."""
    steps = torch.arange(BATCH * 3 * SIZE**2, dtype=torch.float64)
    return dict(
        noise=torch.sin(2.3 * steps[: BATCH * 6]).view(BATCH, 6).float(),
        images=torch.cos(0.9 * steps).view(BATCH, 3, SIZE, SIZE).float(),
        labels=torch.tensor([0, 2, 1, 2]),
    )


def networks() -> dict[str, nn.Module]:
    """Return the networks of this repository, filled."""
    found: dict[str, nn.Module] = dict(
        generator=StyleGAN2Generator(
            SIZE,
            noise_size=6,
            style_size=8,
            num_mapping_layers=2,
            num_classes=CLASSES,
            **WIDTHS,
        ).eval(),
        discriminator=StyleGAN2Discriminator(
            SIZE, num_classes=CLASSES, num_mapping_layers=3, **WIDTHS
        ),
    )
    for network in found.values():
        fill(network)
    return found


def originals(clone: str) -> dict[str, nn.Module]:
    """Return the original's networks, of the same sizes."""
    sys.path.insert(0, os.path.abspath(clone))
    found = importlib.import_module('training.networks')
    for name in ('bias_act', 'upfirdn2d'):
        module = importlib.import_module(f'torch_utils.ops.{name}')
        module._init = lambda: False  # type: ignore[attr-defined]
    common = dict(c_dim=CLASSES, img_resolution=SIZE, img_channels=3)
    return dict(
        generator=found.Generator(
            z_dim=6,
            w_dim=8,
            mapping_kwargs=dict(num_layers=2),
            synthesis_kwargs=WIDTHS,
            **common,
        ).eval(),
        discriminator=found.Discriminator(
            mapping_kwargs=dict(num_layers=3), **WIDTHS, **common
        ),
    )


def copy_weights(here: nn.Module, there: nn.Module) -> dict[str, str]:
    """Give the original this repository's weights; return names by name."""
    state = here.state_dict()
    names = {}
    for name, tensor in there.state_dict().items():
        own = name_here(name)
        if own is not None:
            tensor.copy_(state.pop(own).view(tensor.shape))
            names[name] = own
    if state:
        raise ValueError(f'the original has nothing for {sorted(state)}')
    return names


def results(
    network: nn.Module, name: str, is_original: bool, **kwargs: Any
) -> dict[str, Tensor]:
    """Return a network's output, and the gradients of a sum of it."""
    given = inputs()
    labels = given['labels']
    if is_original:
        labels = nn.functional.one_hot(labels, CLASSES).float()
    x = given['noise' if name == 'generator' else 'images'].requires_grad_()
    network.zero_grad()
    out = network(x, labels, **kwargs)
    weights = torch.sin(torch.arange(out.numel()) * 0.7).view(out.shape)
    (out * weights).sum().backward()
    grads = {k: p.grad for k, p in network.named_parameters()}
    return dict(output=out.detach(), input=x.grad, **grads)


def kinds(name: str) -> Iterator[tuple[str, int, dict, dict]]:
    """Yield what is compared of a network.

    A name, the layers that are truncated, and keywords here and there.
    """
    if name == 'discriminator':
        yield 'plain', 6, {}, {}
        return
    fixed = dict(noise_mode='const')
    yield 'plain', 6, {}, fixed
    own, theirs = dict(truncation=0.7), dict(fixed, truncation_psi=0.7)
    yield 'psi', 6, own, theirs
    yield 'psi in 2 layers', 2, own, dict(theirs, truncation_cutoff=2)


def figures(found: dict[str, Tensor]) -> dict[str, Any]:
    """Return what is kept of a network's results."""
    kept = [k for k in found if re.search('input|embed|out|0.bias', k)]
    return dict(
        first=found['output'].flatten()[:8].tolist(),
        norms={k: float(found[k].double().norm()) for k in kept},
    )


def main() -> int:
    """Compare; 1 if something is not the same."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('clone', help='of stylegan2-ada-pytorch')
    parser.add_argument('--write', action='store_true', help=f'into {FILE}')
    args = parser.parse_args()
    here, there = networks(), originals(args.clone)
    worst, kept = 0.0, {}
    for name in here:
        names = copy_weights(here[name], there[name])
        for kind, layers, own_kwargs, their_kwargs in kinds(name):
            here[name].truncation_layers = layers
            own = results(here[name], name, False, **own_kwargs)
            theirs = results(there[name], name, True, **their_kwargs)
            theirs = {names.get(key, key): x for key, x in theirs.items()}
            for key, value in theirs.items():
                error = (own[key].view(value.shape) - value).norm()
                error = float(error / value.norm())
                print(f'{name}, {kind}, {key}: {error:.1e}')
                worst = max(worst, error)
            kept[f'{name}, {kind}'] = figures(theirs)
    print(f'largest relative difference: {worst:.1e}')
    if args.write:
        command = 'python tools/dev/stylegan2_parity.py CLONE --write'
        made = f'{command}, {ORIGINAL}, torch {torch.__version__}'
        FILE.write_text(json.dumps(dict(made=made, **kept), indent=1) + '\n')
    return int(worst > 1e-4)


if __name__ == '__main__':
    sys.exit(main())
