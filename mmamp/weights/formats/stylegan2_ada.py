"""StyleGAN2-ADA's networks for PyTorch: state dicts of G, G_ema and D.

Their pickles are not read, since a pickle may do anything: in ADA's own
environment a few lines make state dicts of them.
"""

from collections.abc import Mapping

from torch import Tensor

from mmamp.models.archs import StyleGAN2Discriminator, StyleGAN2Generator
from mmamp.weights.arguments import count_of, size_of
from mmamp.weights.fir import FIR_FILTER, with_constants
from mmamp.weights.format import Format
from mmamp.weights.layouts import join_letters
from mmamp.weights.rules import AXIS_BEFORE, OF_SCALAR, Rule, Table

_SIZES = {str(4 << i): str(i) for i in range(9)}
"""Resolutions of theirs, and our blocks, up to 1024."""
_FILTER = dict(resample_filter=FIR_FILTER)


def _image_size(theirs: Mapping[str, Tensor]) -> int:
    return max(
        int(name.split('b')[-1].split('.')[0])
        for name in theirs
        if name.endswith('.conv1.weight')
    )


def generator(network: StyleGAN2Generator) -> Table:
    """Return the rules of G."""
    layer, ours = 'synthesis.b{size}.conv{j}', 'blocks.{size}.convs'
    rules = [Rule('synthesis.b4.const', 'constant', AXIS_BEFORE)]
    for number, place in (
        ('synthesis.b4.conv1', 'blocks.0.convs.0'),
        (layer, f'{ours}.{{j}}'),
    ):
        rules += [
            Rule(
                number,
                f'{place}.conv',
                with_constants(dict(weight='weight'), _FILTER),
            ),
            Rule(f'{number}.affine.{{leaf}}', f'{place}.conv.affine.{{leaf}}'),
            Rule(f'{number}.noise_const', f'{place}.noise'),
            Rule(
                f'{number}.noise_strength',
                f'{place}.noise_strength',
                OF_SCALAR,
            ),
            Rule(f'{number}.bias', f'{place}.bias'),
        ]
    torgb, to_rgb = 'synthesis.b{size}.torgb', 'blocks.{size}.to_rgb'
    rules += [
        Rule(f'{torgb}.affine.{{leaf}}', f'{to_rgb}.conv.affine.{{leaf}}'),
        Rule(f'{torgb}.weight', f'{to_rgb}.conv.weight', colours=0),
        # The block's own filter, of its image, has no better place.
        Rule(
            'synthesis.b{size}',
            to_rgb,
            with_constants({'torgb.bias': 'bias'}, _FILTER),
            colours=0,
        ),
        Rule('mapping.fc{i}.{leaf}', 'mapping_network.layers.{i}.{leaf}'),
        Rule('mapping.embed.{leaf}', 'mapping_network.embedding.{leaf}'),
        Rule('mapping.w_avg', 'w_average'),
    ]
    return Table(
        tuple(rules),
        dict(
            image_size=_image_size,
            style_size=size_of('mapping.w_avg', 0),
            num_mapping_layers=count_of('mapping.fc{i}.weight'),
            num_classes=size_of('mapping.embed.weight', 1),
            out_channels=size_of('synthesis.b4.torgb.weight', 0),
        ),
        dict(size=_SIZES),
    )


def discriminator(network: StyleGAN2Discriminator) -> Table:
    """Return the rules of D."""
    count = len(network.blocks)
    sizes = {str(8 << i): str(count - 1 - i) for i in range(count)}
    largest = 4 << count
    convs = dict(weight='weight')
    first = f'b{largest}.fromrgb'
    return Table(
        (
            Rule(
                first,
                'from_rgb.conv',
                with_constants(convs, _FILTER),
                colours=1,
            ),
            Rule(f'{first}.bias', 'from_rgb.bias'),
            Rule(
                'b{size}.conv{j}',
                'blocks.{size}.conv{j}.conv',
                with_constants(convs, _FILTER),
            ),
            Rule('b{size}.conv{j}.bias', 'blocks.{size}.conv{j}.bias'),
            Rule(
                'b{size}',
                'blocks.{size}.skip',
                with_constants(
                    {'skip.weight': 'weight'},
                    {'skip.resample_filter': FIR_FILTER, **_FILTER},
                ),
            ),
            Rule('b4.conv', 'conv.conv', with_constants(convs, _FILTER)),
            Rule('b4.conv.bias', 'conv.bias'),
            Rule('b4.fc.{leaf}', 'linear.{leaf}'),
            Rule('b4.out.{leaf}', 'out.{leaf}'),
            Rule('mapping.fc{i}.{leaf}', 'mapping_network.layers.{i}.{leaf}'),
            Rule('mapping.embed.{leaf}', 'mapping_network.embedding.{leaf}'),
        ),
        dict(
            image_size=_image_size,
            num_classes=size_of('mapping.embed.weight', 1),
        ),
        dict(size=sizes),
    )


STYLEGAN2_ADA = Format(
    'stylegan2-ada',
    join_letters,
    {StyleGAN2Generator: generator, StyleGAN2Discriminator: discriminator},
)
