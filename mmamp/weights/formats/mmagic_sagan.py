"""SAGAN of MMagic and MMGeneration at 128x128 or more.

Those whose class embeddings have no spectral norm
(``with_embedding_spectral_norm=False``) and whose gains are centred at 1, as
with ``init_cfg=dict(type='BigGAN')``; ours are not. Theirs of 32x32 has other
channels and blocks.
"""

from mmamp.models.archs import SAGANDiscriminator, SAGANGenerator
from mmamp.weights.arguments import doubled_by, size_of
from mmamp.weights.format import Format
from mmamp.weights.layouts import join_openmmlab
from mmamp.weights.norms import OF_TORCH
from mmamp.weights.rules import Leaves, Rule, Table
from mmamp.weights.templates import in_one_list

from .residual_blocks import residual_rules

_CENTRED = Leaves(
    ('weight',),
    ('weight',),
    lambda x: {'weight': x['weight'] + 1},
    lambda x: {'weight': x['weight'] - 1},
    # A sum rounds.
    lost=('weight',),
)


def _places(
    network: SAGANGenerator | SAGANDiscriminator, first: int
) -> dict[str, dict[str, str]]:
    blocks: list[tuple[str | None, str | None]] = [
        (
            f'blocks.{size}' if i >= first else None,
            size if size in network.attention else None,
        )
        for i, size in enumerate(network.blocks)
    ]
    if isinstance(network, SAGANDiscriminator):
        blocks.append(('last', None))
    return in_one_list(blocks)


_THERE, _HERE = 'conv_blocks.{block}', '{block}'
_SHARED = residual_rules('conv_{j}', _HERE, OF_TORCH)


def generator(network: SAGANGenerator) -> Table:
    """Return the rules of the generator."""
    norm, ours = f'{_THERE}.norm_{{j}}', f'{_HERE}.norm{{j}}'
    return Table(
        (
            Rule('noise2feat', 'linear', OF_TORCH),
            Rule('noise2feat.bias', 'linear.bias'),
            Rule(f'{norm}.norm.{{leaf}}', f'{ours}.norm.{{leaf}}'),
            Rule(f'{norm}.weight_embedding', f'{ours}.gain', _CENTRED),
            Rule(f'{norm}.bias_embedding.weight', f'{ours}.bias.weight'),
            *_SHARED,
            Rule('to_rgb.bn.{leaf}', 'to_image.0.{leaf}'),
            Rule('to_rgb.conv', 'to_image.2', OF_TORCH, colours=0),
            Rule('to_rgb.conv.bias', 'to_image.2.bias', colours=0),
        ),
        dict(
            image_size=doubled_by(
                'conv_blocks.{i}.norm_1.norm.running_var', 4
            ),
            num_classes=size_of(
                'conv_blocks.0.norm_1.weight_embedding.weight', 0
            ),
            out_channels=size_of('to_rgb.conv.weight_orig', 0),
            base_channels=size_of('to_rgb.conv.weight_orig', 1),
            noise_size=size_of('noise2feat.weight_orig', 1),
        ),
        _places(network, first=0),
    )


def discriminator(network: SAGANDiscriminator) -> Table:
    """Return the rules of the discriminator."""
    largest = next(iter(network.blocks))
    head = f'blocks.{largest}'
    return Table(
        (
            Rule('from_rgb.conv_1.conv', f'{head}.conv1', OF_TORCH, colours=1),
            Rule(
                'from_rgb.shortcut.conv',
                f'{head}.shortcut',
                OF_TORCH,
                colours=1,
            ),
            Rule('from_rgb.conv_2.conv', f'{head}.conv2', OF_TORCH),
            Rule('from_rgb.conv_{j}.conv.bias', f'{head}.conv{{j}}.bias'),
            Rule('from_rgb.shortcut.conv.bias', f'{head}.shortcut.bias'),
            *_SHARED,
            Rule('decision', 'linear', OF_TORCH),
            Rule('decision.bias', 'linear.bias'),
            Rule('proj_y', 'embedding', OF_TORCH),
        ),
        dict(
            image_size=doubled_by('conv_blocks.{i}.conv_1.conv.bias', 4),
            num_classes=size_of('proj_y.weight_orig', 0),
            in_channels=size_of('from_rgb.conv_1.conv.weight_orig', 1),
            base_channels=size_of('from_rgb.conv_1.conv.weight_orig', 0),
        ),
        _places(network, first=1),
    )


MMAGIC_SAGAN = Format(
    'mmagic-sagan',
    join_openmmlab,
    {SAGANGenerator: generator, SAGANDiscriminator: discriminator},
)
