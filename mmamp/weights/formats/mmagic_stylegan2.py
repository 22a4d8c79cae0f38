"""StyleGAN2 of MMagic and MMGeneration, without classes."""

from typing import Any

import torch
from torch import Tensor

from mmamp.models.archs import StyleGAN2Discriminator, StyleGAN2Generator
from mmamp.weights.arguments import count_of, doubled_by, size_of
from mmamp.weights.fir import FIR_FILTER, with_constants
from mmamp.weights.format import Format
from mmamp.weights.layouts import join_openmmlab
from mmamp.weights.rules import Leaves, Rule, Table, one

LATENTS = 4096
_NOISE = one(lambda x: x[0, 0], lambda x: x[None, None])
_BIAS = one(lambda x: x[0, :, 0, 0], lambda x: x[None, :, None, None])
_DOWN = {'0.kernel': FIR_FILTER}


def _modulated(**constants: Tensor) -> Leaves:
    """Make leaves of a weight with an axis for the samples."""
    leaves = with_constants(
        {'weight_orig': 'weight'},
        {k.replace('_', '.'): v for k, v in constants.items()},
    )
    return Leaves(
        leaves.theirs,
        leaves.ours,
        lambda x: {'weight': leaves.read(x)['weight'][0]},
        lambda x: leaves.write({'weight': x['weight'][None]}),
    )


def _layer(theirs: str, ours: str, **constants: Tensor) -> list[Rule]:
    """Return the rules of a modulated convolution with its noise."""
    style = f'{theirs}.conv.style_modulation'
    return [
        Rule(f'{theirs}.conv', f'{ours}.conv', _modulated(**constants)),
        Rule(f'{style}.linear.weight_orig', f'{ours}.conv.affine.weight'),
        Rule(f'{style}.bias', f'{ours}.conv.affine.bias'),
        Rule(f'{theirs}.noise_injector.weight', f'{ours}.noise_strength'),
        Rule(f'{theirs}.activate.bias', f'{ours}.bias'),
    ]


def _to_rgb(theirs: str, ours: str, upsamples: bool) -> list[Rule]:
    style = f'{theirs}.conv.style_modulation'
    bias = _BIAS
    if upsamples:
        leaves = with_constants(
            {'bias': 'bias'}, {'upsample.kernel': FIR_FILTER * 4}
        )
        bias = Leaves(
            leaves.theirs,
            leaves.ours,
            lambda x: {'bias': leaves.read(x)['bias'][0, :, 0, 0]},
            lambda x: leaves.write({'bias': x['bias'][None, :, None, None]}),
        )
    return [
        Rule(f'{theirs}.conv', f'{ours}.conv', _modulated(), colours=0),
        Rule(f'{style}.linear.weight_orig', f'{ours}.conv.affine.weight'),
        Rule(f'{style}.bias', f'{ours}.conv.affine.bias'),
        Rule(
            theirs if upsamples else f'{theirs}.bias',
            ours if upsamples else f'{ours}.bias',
            bias,
            colours=0,
        ),
    ]


@torch.no_grad()
def _average(network: StyleGAN2Generator) -> Tensor:
    """Average ``w`` over as many latents as MMagic's truncation does."""
    random = torch.Generator().manual_seed(0)
    first: Any = network.mapping_network.layers[0]
    noise = torch.randn(LATENTS, first.weight.shape[1], generator=random)
    styles: Tensor = network.mapping_network(noise)
    return styles.mean(0)


def generator(network: StyleGAN2Generator) -> Table:
    """Return the rules of the generator."""
    return Table(
        (
            Rule(
                'style_mapping.{i+1}.linear.weight_orig',
                'mapping_network.layers.{i}.weight',
            ),
            Rule(
                'style_mapping.{i+1}.bias', 'mapping_network.layers.{i}.bias'
            ),
            Rule('constant_input.input', 'constant'),
            *_layer('conv1', 'blocks.0.convs.0'),
            *_to_rgb('to_rgb1', 'blocks.0.to_rgb', upsamples=False),
            *_layer(
                'convs.{2i}',
                'blocks.{i+1}.convs.0',
                blur_kernel=FIR_FILTER * 4,
            ),
            *_layer('convs.{2i+1}', 'blocks.{i+1}.convs.1'),
            *_to_rgb('to_rgbs.{i}', 'blocks.{i+1}.to_rgb', upsamples=True),
            Rule('injected_noise_0', 'blocks.0.convs.0.noise', _NOISE),
            Rule(
                'injected_noise_{2i+1}', 'blocks.{i+1}.convs.0.noise', _NOISE
            ),
            Rule(
                'injected_noise_{2i+2}', 'blocks.{i+1}.convs.1.noise', _NOISE
            ),
            Rule('w_avg', 'w_average'),
        ),
        dict(
            image_size=doubled_by('to_rgbs.{i}.bias', 4),
            style_size=size_of('style_mapping.1.linear.weight_orig', 0),
            noise_size=size_of('style_mapping.1.linear.weight_orig', 1),
            num_mapping_layers=count_of('style_mapping.{i}.bias'),
            out_channels=size_of('to_rgb1.bias', 1),
        ),
        optional=dict(w_average=_average),
    )


def discriminator(network: StyleGAN2Discriminator) -> Table:
    """Return the rules of the discriminator."""
    place, block = 'convs.{i+1}', 'blocks.{i}'
    down = with_constants({'1.conv.weight_orig': 'weight'}, _DOWN)
    return Table(
        (
            Rule(
                'convs.0.0.conv.weight_orig', 'from_rgb.conv.weight', colours=1
            ),
            Rule('convs.0.1.bias', 'from_rgb.bias'),
            Rule(
                f'{place}.conv1.0.conv.weight_orig',
                f'{block}.conv0.conv.weight',
            ),
            Rule(f'{place}.conv1.1.bias', f'{block}.conv0.bias'),
            Rule(f'{place}.conv2', f'{block}.conv1.conv', down),
            Rule(f'{place}.conv2.2.bias', f'{block}.conv1.bias'),
            Rule(f'{place}.skip', f'{block}.skip', down),
            Rule('final_conv.0.conv.weight_orig', 'conv.conv.weight'),
            Rule('final_conv.1.bias', 'conv.bias'),
            Rule('final_linear.0.linear.weight_orig', 'linear.weight'),
            Rule('final_linear.0.bias', 'linear.bias'),
            Rule('final_linear.1.linear.weight_orig', 'out.weight'),
            Rule('final_linear.1.bias', 'out.bias'),
        ),
        dict(
            image_size=doubled_by('convs.{i}.skip.1.conv.weight_orig', 4),
            in_channels=size_of('convs.0.0.conv.weight_orig', 1),
        ),
    )


MMAGIC_STYLEGAN2 = Format(
    'mmagic-stylegan2',
    join_openmmlab,
    {StyleGAN2Generator: generator, StyleGAN2Discriminator: discriminator},
)
