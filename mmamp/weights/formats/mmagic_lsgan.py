"""LSGAN of MMagic and MMGeneration, whose generator has kernels of 3x3."""

from mmamp.models.archs import LSGANDiscriminator, LSGANGenerator
from mmamp.weights.arguments import size_of
from mmamp.weights.format import Format
from mmamp.weights.layouts import join_openmmlab
from mmamp.weights.rules import Rule, Table


def generator(network: LSGANGenerator) -> Table:
    """Return the rules of the generator."""
    return Table(
        (
            Rule('noise2feat_head.0.{leaf}', 'linear.{leaf}'),
            Rule('noise2feat_tail.0.{leaf}', 'norm.0.{leaf}'),
            Rule('conv_blocks.6.conv.weight', 'layers.6.weight', colours=1),
            Rule('conv_blocks.6.conv.bias', 'layers.6.bias', colours=0),
            Rule('conv_blocks.{i}.conv.weight', 'layers.{i}.conv.weight'),
            Rule('conv_blocks.{i}.bn.{leaf}', 'layers.{i}.bn.{leaf}'),
        ),
        dict(
            out_channels=size_of('conv_blocks.6.conv.weight', 1),
            base_channels=size_of('conv_blocks.6.conv.weight', 0),
            noise_size=size_of('noise2feat_head.0.weight', 1),
            kernel_size=size_of('conv_blocks.6.conv.weight', 3),
        ),
    )


def discriminator(network: LSGANDiscriminator) -> Table:
    """Return the rules of the discriminator."""
    return Table(
        (
            Rule(
                'conv_blocks.0.conv.weight',
                'layers.0.conv.weight',
                colours=1,
            ),
            Rule('conv_blocks.{i}.conv.{leaf}', 'layers.{i}.conv.{leaf}'),
            Rule('conv_blocks.{i}.bn.{leaf}', 'layers.{i}.bn.{leaf}'),
            Rule('decision.0.{leaf}', 'linear.{leaf}'),
        ),
        dict(
            in_channels=size_of('conv_blocks.0.conv.weight', 1),
            base_channels=size_of('conv_blocks.0.conv.weight', 0),
        ),
    )


MMAGIC_LSGAN = Format(
    'mmagic-lsgan',
    join_openmmlab,
    {LSGANGenerator: generator, LSGANDiscriminator: discriminator},
)
