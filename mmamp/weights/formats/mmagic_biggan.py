"""BigGAN of MMagic and MMGeneration, with either kind of spectral norm.

Those with a shared embedding and hierarchical latents
(``with_shared_embedding=True, split_noise=True``). ``sn_style='ajbrock'`` is
BigGAN-PyTorch's, ``'torch'`` torch's.
"""

from functools import partial

from mmamp.models.archs import BigGANDiscriminator, BigGANGenerator
from mmamp.weights.arguments import size_of
from mmamp.weights.format import Format
from mmamp.weights.layouts import join_openmmlab
from mmamp.weights.norms import OF_TORCH, OF_U
from mmamp.weights.rules import Leaves, Rule, Table
from mmamp.weights.templates import in_one_list

from .residual_blocks import residual_rules


def _places(
    network: BigGANGenerator | BigGANDiscriminator,
) -> dict[str, dict[str, str]]:
    names = [str(i) for i in range(len(network.blocks))]
    return in_one_list(
        (x, x if x in network.attention else None) for x in names
    )


def generator(norm: Leaves, network: BigGANGenerator) -> Table:
    """Return the rules of the generator."""
    there, here = 'conv_blocks.{block}', 'blocks.{block}'
    return Table(
        (
            Rule('shared_embedding.weight', 'embedding.weight'),
            Rule('noise2feat', 'linear', norm),
            Rule('noise2feat.bias', 'linear.bias'),
            Rule(f'{there}.bn{{j}}.gain', f'{here}.norm{{j}}.gain', norm),
            Rule(f'{there}.bn{{j}}.bias', f'{here}.norm{{j}}.bias', norm),
            Rule(
                f'{there}.bn{{j}}.bn.{{leaf}}',
                f'{here}.norm{{j}}.norm.{{leaf}}',
            ),
            *residual_rules('conv{j}', 'blocks.{block}', norm),
            Rule('output_layer.bn.{leaf}', 'to_image.0.{leaf}'),
            Rule('output_layer.conv', 'to_image.2', norm, colours=0),
            Rule('output_layer.conv.bias', 'to_image.2.bias', colours=0),
        ),
        dict(
            num_classes=size_of('shared_embedding.weight', 0),
            embedding_size=size_of('shared_embedding.weight', 1),
        ),
        _places(network),
    )


def discriminator(norm: Leaves, network: BigGANDiscriminator) -> Table:
    """Return the rules of the discriminator."""
    there, here = 'conv_blocks.0', 'blocks.0'
    return Table(
        (
            Rule(f'{there}.conv1.conv', f'{here}.conv1', norm, colours=1),
            Rule(
                f'{there}.shortcut.conv', f'{here}.shortcut', norm, colours=1
            ),
            *residual_rules('conv{j}', 'blocks.{block}', norm),
            Rule('decision', 'linear', norm),
            Rule('decision.bias', 'linear.bias'),
            Rule('proj_y', 'embedding', norm),
        ),
        dict(num_classes=size_of(f'proj_y.{norm.theirs[0]}', 0)),
        _places(network),
    )


MMAGIC_BIGGAN, MMAGIC_BIGGAN_TORCH = (
    Format(
        name,
        join_openmmlab,
        {
            BigGANGenerator: partial(generator, norm),
            BigGANDiscriminator: partial(discriminator, norm),
        },
    )
    for name, norm in (
        ('mmagic-biggan', OF_U),
        ('mmagic-biggan-torch', OF_TORCH),
    )
)
