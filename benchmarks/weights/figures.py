"""What tests read: names and shapes of their networks, and a few figures."""

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DefaultScope

from .cases import COMMITS, Case, Network
from .compare import SCOPES
from .recipes import build, recipe_of, to_json
from .running import INPUT, gradients

FOLDER = Path('tests/data/weights')
SHOWN = 6


def write_figures(cases: Sequence[Case], folder: Path) -> None:
    """Write a file for each case.

    Args:
        cases (Sequence[Case]): Of which small ones are written, but for
            MMGeneration's, whose names and shapes are MMagic's.
        folder (Path): Where files go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        if case.is_large or case.repository == 'mmgeneration':
            continue
        name = f'{case.repository} {case.name}'.replace(', small', '').lower()
        file = folder / f'{"".join(_plain(x) for x in name)}.json'
        with redirect_stdout(sys.stderr):
            content = dict(
                format=case.format,
                repository=case.repository,
                commit=COMMITS[case.repository],
                torch=torch.__version__,
                model=case.model,
                networks=[
                    _network(case, key, network, seed)
                    for seed, (key, network) in enumerate(
                        case.networks.items()
                    )
                ],
            )
        file.write_text(_dumped(content))
        print(file)


def _plain(letter: str) -> str:
    return letter if letter.isalnum() else '_'


def _network(
    case: Case, key: str, network: Network, seed: int
) -> dict[str, Any]:
    scope = SCOPES.get(case.repository, 'mmamp')
    with DefaultScope.overwrite_default_scope(scope):
        theirs = network.build().eval()
    recipe = recipe_of(theirs)
    theirs.load_state_dict(build(recipe, seed))
    first, *labels = network.inputs.make()
    made = network.call(theirs, (first.requires_grad_(), *labels))
    gradient = gradients(theirs, made, first)[INPUT]
    output = made.detach().double()
    step = max(output.numel() // SHOWN, 1)
    return dict(
        name=key,
        seed=seed,
        inputs=dict(
            shape=network.inputs.shape,
            scale=network.inputs.scale,
            classes=network.inputs.classes,
        ),
        figures=dict(
            shape=list(output.shape),
            mean=output.mean().item(),
            deviation=output.std().item(),
            values=output.flatten()[::step][:SHOWN].tolist(),
            gradient=gradient.double().norm().item(),
        ),
        tensors=to_json(recipe),
    )


def _dumped(content: dict[str, Any]) -> str:
    """Return JSON with a line for each tensor."""
    text = json.dumps(content, indent=1)
    decoded = json.loads(text)
    for network in decoded['networks']:
        network['tensors'] = [json.dumps(x) for x in network['tensors']]
    text = json.dumps(decoded, indent=1)
    lines = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith('"[') and stripped.rstrip(',').endswith(']"'):
            comma = ',' if stripped.endswith(',') else ''
            lines.append('   ' + json.loads(stripped.rstrip(',')) + comma)
        else:
            lines.append(line)
    return '\n'.join(lines) + '\n'
