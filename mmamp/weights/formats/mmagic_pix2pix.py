"""pix2pix of MMagic and MMGeneration.

Dropout is in other layers of the decoder than here, where it is in those of
the authors' first code; it has no weights, and testing has none.
"""

from torch import nn

from mmamp.models.archs import PatchDiscriminator, UNetGenerator
from mmamp.weights.arguments import count_of, norm_of, size_of
from mmamp.weights.format import Format
from mmamp.weights.layouts import join_openmmlab
from mmamp.weights.rules import Rule, Table


def generator(network: UNetGenerator) -> Table:
    """Return the rules of the U-Net, each level inside of the one above."""
    levels = len(network.downs)
    down, up = {}, {}
    for i in range(levels):
        level = 'model' + '.model.1' * i
        down[f'{level}.model.0'] = str(i)
        ours = levels - 1 - i
        drops = isinstance(network.ups[ours], nn.Sequential)
        place = 1 if i == levels - 1 else 2
        up[f'{level}.model.{place}'] = f'{ours}.0' if drops else str(ours)
    norms = [
        Rule(
            f'{{{side}}}.{norm}.{{leaf}}',
            f'{side}s.{{{side}}}.{norm}.{{leaf}}',
        )
        for side in ('down', 'up')
        for norm in ('bn', 'in')
    ]
    first, last = 'model.model.0.conv', 'model.model.2.conv'
    return Table(
        (
            Rule(f'{first}.weight', 'downs.0.conv.weight', colours=1),
            Rule(f'{last}.weight', f'ups.{levels - 1}.conv.weight', colours=1),
            Rule(f'{last}.bias', f'ups.{levels - 1}.conv.bias', colours=0),
            Rule('{down}.conv.{leaf}', 'downs.{down}.conv.{leaf}'),
            Rule('{up}.conv.{leaf}', 'ups.{up}.conv.{leaf}'),
            *norms,
        ),
        dict(
            in_channels=size_of(f'{first}.weight', 1),
            out_channels=size_of(f'{last}.weight', 1),
            base_channels=size_of(f'{first}.weight', 0),
            num_downs=lambda theirs: sum(
                name.endswith('.model.0.conv.weight') for name in theirs
            ),
            norm_cfg=norm_of,
        ),
        dict(down=down, up=up),
        unset=dict(norm_cfg=dict(type='BN')),
    )


def discriminator(network: PatchDiscriminator) -> Table:
    """Return the rules of the discriminator of patches."""
    return Table(
        (
            Rule('model.0.conv.weight', 'layers.0.conv.weight', colours=1),
            Rule('model.{i}.conv.{leaf}', 'layers.{i}.conv.{leaf}'),
            Rule('model.{i}.bn.{leaf}', 'layers.{i}.bn.{leaf}'),
            Rule('model.{i}.in.{leaf}', 'layers.{i}.in.{leaf}'),
            Rule('model.{i}.{leaf}', 'layers.{i}.{leaf}'),
        ),
        dict(
            in_channels=size_of('model.0.conv.weight', 1),
            base_channels=size_of('model.0.conv.weight', 0),
            num_layers=count_of('model.{i}.conv.weight', less=1),
            norm_cfg=norm_of,
        ),
        unset=dict(norm_cfg=dict(type='BN')),
    )


MMAGIC_PIX2PIX = Format(
    'mmagic-pix2pix',
    join_openmmlab,
    {UNetGenerator: generator, PatchDiscriminator: discriminator},
    domains=1,
)
