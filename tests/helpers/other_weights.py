"""Weights as other codebases make them, from their names and shapes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope

from benchmarks.weights.cases import Inputs
from benchmarks.weights.recipes import build, from_json
from mmamp.registry import MODELS

FOLDER = Path(__file__).parents[1] / 'data/weights'
FILES = sorted(FOLDER.glob('*.json'))
"""Made beside the originals by
``python -m benchmarks.weights FOLDER --figures``."""
NAMES = [file.stem for file in FILES]
PREFIXES = {
    'generator_ab': 'generators.horse',
    'generator_ba': 'generators.zebra',
    'discriminator_a': 'discriminators.zebra',
    'discriminator_b': 'discriminators.horse',
}
DOMAINS = ['zebra', 'horse']


@dataclass
class Other:
    """Networks of another codebase.

    Args:
        format (str): Name of the format.
        model (dict): Of the config that takes them.
        states (dict): Their state dicts, by the names of our networks.
        inputs (dict): What each is called with.
        figures (dict): What each computes.
    """

    format: str
    model: dict[str, Any]
    states: dict[str, dict[str, torch.Tensor]]
    inputs: dict[str, tuple[torch.Tensor, ...]]
    figures: dict[str, dict[str, Any]]

    def build(self) -> Any:
        """Build the config's model."""
        init_default_scope('mmamp')
        return MODELS.build(self.model)

    def checkpoint(self) -> dict[str, Any]:
        """Lay them out as their code does."""
        if self.format == 'basicsr':
            return {'params': self.states['generator']}
        if self.format in ('biggan-pytorch', 'stylegan2-ada'):
            letters = {'generator': 'G', 'discriminator': 'D'}
            return {letters[k]: v for k, v in self.states.items()}
        names = dict(PREFIXES)
        if self.format == 'mmagic-pix2pix':
            names = {x: f'{x}s.photo' for x in self.states}
        state = {
            f'{names.get(name, name)}.{key}': x
            for name, tensors in self.states.items()
            for key, x in tensors.items()
        }
        return {'state_dict': state, 'meta': {}}

    @property
    def domains(self) -> list[str] | None:
        """Return the names of two domains, where there are any."""
        return DOMAINS if 'generator_ab' in self.states else None


def other(name: str) -> Other:
    """Make the weights of a file.

    Args:
        name (str): One of :data:`NAMES`.
    """
    content = json.loads((FOLDER / f'{name}.json').read_text())
    networks = content['networks']
    return Other(
        content['format'],
        content['model'],
        {
            x['name']: build(from_json(x['tensors']), x['seed'])
            for x in networks
        },
        {
            x['name']: Inputs(
                tuple(x['inputs']['shape']),
                x['inputs']['scale'],
                x['inputs']['classes'],
            ).make()
            for x in networks
        },
        {x['name']: x['figures'] for x in networks},
    )
