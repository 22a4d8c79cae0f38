"""CycleGAN of MMagic and MMGeneration."""

from mmamp.models.archs import PatchDiscriminator, ResNetGenerator
from mmamp.weights.arguments import count_of, norm_of, size_of
from mmamp.weights.format import Format
from mmamp.weights.layouts import join_openmmlab
from mmamp.weights.rules import Rule, Table

from .mmagic_pix2pix import discriminator


def generator(network: ResNetGenerator) -> Table:
    """Return the rules of the generator."""
    last = len(network.layers) - 1
    first = 'model.0.conv.weight'
    return Table(
        (
            Rule(first, 'layers.0.conv.weight', colours=1),
            Rule(
                f'model.{last}.conv.{{leaf}}',
                f'layers.{last}.conv.{{leaf}}',
                colours=0,
            ),
            Rule('model.{i}.conv.{leaf}', 'layers.{i}.conv.{leaf}'),
            Rule('model.{i}.bn.{leaf}', 'layers.{i}.bn.{leaf}'),
            Rule('model.{i}.in.{leaf}', 'layers.{i}.in.{leaf}'),
            Rule(
                'model.{i}.block.{j}.conv.{leaf}',
                'layers.{i}.layers.{j}.conv.{leaf}',
            ),
            Rule(
                'model.{i}.block.{j}.bn.{leaf}',
                'layers.{i}.layers.{j}.bn.{leaf}',
            ),
            Rule(
                'model.{i}.block.{j}.in.{leaf}',
                'layers.{i}.layers.{j}.in.{leaf}',
            ),
        ),
        dict(
            in_channels=size_of(first, 1),
            base_channels=size_of(first, 0),
            num_blocks=count_of('model.{i}.block.0.conv.weight'),
            norm_cfg=norm_of,
        ),
        unset=dict(norm_cfg=dict(type='IN')),
    )


MMAGIC_CYCLEGAN = Format(
    'mmagic-cyclegan',
    join_openmmlab,
    {ResNetGenerator: generator, PatchDiscriminator: discriminator},
    domains=2,
)
