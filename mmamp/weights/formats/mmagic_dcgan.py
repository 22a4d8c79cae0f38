"""DCGAN of MMagic and MMGeneration; LSGAN's DCGAN networks too.

Its discriminator has the slope of torch's LeakyReLU, and layers without a
norm have a bias, which the paper's have not.
"""

from mmamp.models.archs import DCGANDiscriminator, DCGANGenerator
from mmamp.weights.arguments import always, doubled_by, size_of
from mmamp.weights.format import Format
from mmamp.weights.layouts import join_openmmlab
from mmamp.weights.rules import Rule, Table


def generator(network: DCGANGenerator) -> Table:
    """Return the rules of the generator."""
    last = len(network.layers) - 1
    return Table(
        (
            Rule('noise2feat.conv.weight', 'layers.0.conv.weight'),
            Rule('noise2feat.bn.{leaf}', 'layers.0.bn.{leaf}'),
            Rule(
                'output_layer.conv.weight',
                f'layers.{last}.conv.weight',
                colours=1,
            ),
            Rule(
                'output_layer.conv.bias',
                f'layers.{last}.conv.bias',
                colours=0,
            ),
            Rule('upsampling.{i}.conv.weight', 'layers.{i+1}.conv.weight'),
            Rule('upsampling.{i}.bn.{leaf}', 'layers.{i+1}.bn.{leaf}'),
        ),
        dict(
            image_size=doubled_by('upsampling.{i}.conv.weight', 8),
            out_channels=size_of('output_layer.conv.weight', 1),
            base_channels=size_of('output_layer.conv.weight', 0),
            noise_size=size_of('noise2feat.conv.weight', 0),
            bias=always(True),
        ),
    )


def discriminator(network: DCGANDiscriminator) -> Table:
    """Return the rules of the discriminator."""
    last = len(network.layers) - 1
    return Table(
        (
            Rule(
                'downsamples.0.conv.weight',
                'layers.0.conv.weight',
                colours=1,
            ),
            Rule('downsamples.{i}.conv.{leaf}', 'layers.{i}.conv.{leaf}'),
            Rule('downsamples.{i}.bn.{leaf}', 'layers.{i}.bn.{leaf}'),
            Rule('output_layer.conv.{leaf}', f'layers.{last}.{{leaf}}'),
        ),
        dict(
            image_size=doubled_by('downsamples.{i}.conv.weight', 4),
            in_channels=size_of('downsamples.0.conv.weight', 1),
            base_channels=size_of('downsamples.0.conv.weight', 0),
            bias=always(True),
            negative_slope=always(0.01),
        ),
    )


MMAGIC_DCGAN = Format(
    'mmagic-dcgan',
    join_openmmlab,
    {DCGANGenerator: generator, DCGANDiscriminator: discriminator},
)
