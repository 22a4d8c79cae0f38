"""MMagic's and MMEditing's SRGAN."""

from mmamp.models.archs import MSRResNet, SRGANDiscriminator
from mmamp.weights.arguments import always, count_of, size_of
from mmamp.weights.format import ZERO_TO_ONE, Format
from mmamp.weights.layouts import join_openmmlab
from mmamp.weights.rules import Rule, Table

from .basicsr import discriminator


def generator(network: MSRResNet) -> Table:
    """Return the rules of MSRResNet, which has no activations between."""
    return Table(
        (
            Rule('conv_first.weight', 'first.weight', colours=1),
            Rule('conv_first.bias', 'first.bias'),
            Rule(
                'trunk_net.{i}.conv{k+1}.{leaf}',
                'blocks.{i}.layers.{k}.{leaf}',
            ),
            Rule('upsample{i+1}.upsample_conv.{leaf}', 'upsample.{i}.{leaf}'),
            Rule('conv_hr.{leaf}', 'hr.{leaf}'),
            Rule('conv_last.{leaf}', 'last.{leaf}', colours=0),
        ),
        dict(
            in_channels=size_of('conv_first.weight', 1),
            out_channels=size_of('conv_last.weight', 0),
            base_channels=size_of('conv_first.weight', 0),
            num_blocks=count_of('trunk_net.{i}.conv1.weight'),
            upsample_act=always(False),
        ),
    )


MMAGIC_SRGAN = Format(
    'mmagic-srgan',
    join_openmmlab,
    {MSRResNet: generator, SRGANDiscriminator: discriminator},
    ZERO_TO_ONE,
)
