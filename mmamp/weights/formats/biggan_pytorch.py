"""BigGAN-PyTorch: state dicts of G, G_ema and D, a file each.

Those with a shared embedding and hierarchical latents (``--G_shared --hier``).
"""

from collections.abc import Mapping

from torch import Tensor

from mmamp.models.archs import BigGANDiscriminator, BigGANGenerator
from mmamp.weights.arguments import size_of
from mmamp.weights.format import Format
from mmamp.weights.layouts import join_letters
from mmamp.weights.norms import OF_U, STORED_NORM
from mmamp.weights.rules import OF_SCALAR, Rule, Table

_ATTENTION = tuple(
    Rule(f'blocks.{{i}}.1.{theirs}', f'attention.{{i}}.{ours}', OF_U)
    for theirs, ours in (
        *(('theta', 'theta'), ('phi', 'phi'), ('g', 'g')),
        ('o', 'out'),
    )
) + (Rule('blocks.{i}.1.gamma', 'attention.{i}.gamma', OF_SCALAR),)


def _sizes(
    counts: Mapping[int, int], prefix: str, theirs: Mapping[str, Tensor]
) -> int | None:
    """Tell the image size by the number of blocks."""
    blocks = {x.split('.')[1] for x in theirs if x.startswith(prefix)}
    return counts.get(len(blocks))


def generator(network: BigGANGenerator) -> Table:
    """Return the rules of G."""
    return Table(
        (
            Rule('shared.weight', 'embedding.weight'),
            Rule('linear', 'linear', OF_U),
            Rule('linear.bias', 'linear.bias'),
            Rule('blocks.{i}.0.bn{j}.gain', 'blocks.{i}.norm{j}.gain', OF_U),
            Rule('blocks.{i}.0.bn{j}.bias', 'blocks.{i}.norm{j}.bias', OF_U),
            Rule('blocks.{i}.0.bn{j}', 'blocks.{i}.norm{j}.norm', STORED_NORM),
            Rule('blocks.{i}.0.conv{j}', 'blocks.{i}.conv{j}', OF_U),
            Rule('blocks.{i}.0.conv{j}.bias', 'blocks.{i}.conv{j}.bias'),
            Rule('blocks.{i}.0.conv_sc', 'blocks.{i}.shortcut', OF_U),
            Rule('blocks.{i}.0.conv_sc.bias', 'blocks.{i}.shortcut.bias'),
            *_ATTENTION,
            Rule('output_layer.0.gain', 'to_image.0.weight'),
            Rule('output_layer.0.bias', 'to_image.0.bias'),
            Rule('output_layer.0', 'to_image.0', STORED_NORM),
            Rule('output_layer.2', 'to_image.2', OF_U, colours=0),
            Rule('output_layer.2.bias', 'to_image.2.bias', colours=0),
        ),
        dict(
            image_size=lambda x: _sizes({3: 32, 4: 64, 5: 128}, 'blocks.', x),
            num_classes=size_of('shared.weight', 0),
            out_channels=size_of('output_layer.2.weight', 0),
            embedding_size=size_of('shared.weight', 1),
        ),
    )


def discriminator(network: BigGANDiscriminator) -> Table:
    """Return the rules of D."""
    return Table(
        (
            Rule('blocks.0.0.conv1', 'blocks.0.conv1', OF_U, colours=1),
            Rule('blocks.0.0.conv_sc', 'blocks.0.shortcut', OF_U, colours=1),
            Rule('blocks.{i}.0.conv{j}', 'blocks.{i}.conv{j}', OF_U),
            Rule('blocks.{i}.0.conv{j}.bias', 'blocks.{i}.conv{j}.bias'),
            Rule('blocks.{i}.0.conv_sc', 'blocks.{i}.shortcut', OF_U),
            Rule('blocks.{i}.0.conv_sc.bias', 'blocks.{i}.shortcut.bias'),
            *_ATTENTION,
            Rule('linear', 'linear', OF_U),
            Rule('linear.bias', 'linear.bias'),
            Rule('embed', 'embedding', OF_U),
        ),
        dict(
            image_size=lambda x: _sizes({4: 32, 5: 64, 6: 128}, 'blocks.', x),
            num_classes=size_of('embed.weight', 0),
            in_channels=size_of('blocks.0.0.conv1.weight', 1),
        ),
    )


BIGGAN_PYTORCH = Format(
    'biggan-pytorch',
    join_letters,
    {BigGANGenerator: generator, BigGANDiscriminator: discriminator},
)
