"""How fresh networks begin, beside those of other codebases.

``python -m benchmarks.weights.fresh FOLDER`` initialises the networks of
published sizes some times, as training does, and prints the deviation of what
they make and the norm of its gradient, ours and theirs; FOLDER has the clones
that ``python -m benchmarks.weights`` takes. Theirs go into a file for the
tests.
"""

import argparse
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmamp.registry import MODELS

from .cases import COMMITS, Case, Network, all_cases, beginnings, plainly
from .compare import SCOPES
from .originals import importable
from .recipes import noise

FILE = Path('tests/data/fresh_networks.json')
SEEDS = range(3)
PASSES = 15
"""Before networks with spectral norms are measured: theirs begin with vectors
that are random, ours with such as fit the weights."""
Begin = dict[str, list[float]]
"""Deviations of the outputs, and norms of a gradient, one a network."""


def published() -> Iterator[tuple[Case, str, Network]]:
    """Yield networks of published sizes, of codes whose initialisation runs.

    MMagic's fails with today's MMEngine.
    """
    cases = [x for x in all_cases() if x.is_large and x.repository != 'mmagic']
    for case in cases + beginnings():
        for name, network in case.networks.items():
            yield case, name, network


def begin(networks: list[nn.Module], network: Network, call: Any) -> Begin:
    """Measure fresh networks.

    Args:
        networks (list[nn.Module]): Initialised each with another seed.
        network (Network): Makes inputs.
        call (Callable): Calls them.
    """
    deviations, gradients = [], []
    for seed, module in enumerate(networks):
        torch.manual_seed(seed)
        inputs = network.inputs.make()
        if any(
            name[-2:] in ('u0', '_u') for name, _ in module.named_buffers()
        ):
            with torch.no_grad():
                for _ in range(PASSES):
                    call(module.train(), inputs)
        output: Tensor = call(module.train(), inputs)
        params = [x for x in module.parameters() if x.requires_grad]
        # Of a loss that does not depend on how large outputs are.
        probe = noise(tuple(output.shape), seed)
        found = torch.autograd.grad(
            (output * probe).sum() / len(output), params, allow_unused=True
        )
        norms = [x.norm() for x in found if x is not None]
        deviations.append(float(output.detach().std()))
        gradients.append(float(torch.stack(norms).norm()))
    return dict(deviation=deviations, gradient=gradients)


def ours(case: Case, name: str) -> list[nn.Module]:
    """Build one of our networks some times, as a Runner initialises it.

    Args:
        case (Case): Has the model's config.
        name (str): Of the network in it.
    """
    networks = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        with DefaultScope.overwrite_default_scope('mmamp'):
            model: Any = MODELS.build(case.model)
        model.init_weights()
        networks.append(getattr(model, name))
    return networks


def theirs(case: Case, network: Network) -> list[nn.Module]:
    """Build one of their networks some times, as their training does."""
    networks = []
    scope = SCOPES.get(case.repository, 'mmamp')
    for seed in SEEDS:
        torch.manual_seed(seed)
        with DefaultScope.overwrite_default_scope(scope):
            networks.append(network.build())
    return networks


def _range(values: list[float]) -> str:
    return f'{min(values):.3g} to {max(values):.3g}'


def _row(case: Case, name: str, network: Network) -> dict[str, Any]:
    """Measure both sides of a network, print, and return theirs."""
    with redirect_stdout(sys.stderr):
        other = begin(theirs(case, network), network, network.call)
        own = begin(ours(case, name), network, plainly)
    said = ', '.join(
        f'{key} {_range(own[key])} (theirs {_range(other[key])})'
        for key in own
    )
    print(f'{case.repository}: {case.name}, {name}: {said}', flush=True)
    return dict(
        repository=case.repository,
        commit=COMMITS[case.repository],
        case=case.name,
        network=name,
        **other,
    )


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    folder = parser.parse_args(argv).folder
    logging.disable(logging.INFO)
    warnings.simplefilter('ignore')
    with importable(folder):
        rows = [_row(*found) for found in published()]
    FILE.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
