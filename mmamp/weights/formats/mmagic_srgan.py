"""MMagic's and MMEditing's SRGAN."""

from mmamp.models.archs import MSRResNet, SRGANDiscriminator
from mmamp.weights.format import ZERO_TO_ONE, Format
from mmamp.weights.layouts import join_openmmlab
from mmamp.weights.rules import Table

from .basicsr import discriminator, msrresnet_of


def generator(network: MSRResNet) -> Table:
    """Return the rules of MSRResNet, which has no activations between."""
    return msrresnet_of('trunk_net', 'upsample{i+1}.upsample_conv', acts=False)


MMAGIC_SRGAN = Format(
    'mmagic-srgan',
    join_openmmlab,
    {MSRResNet: generator, SRGANDiscriminator: discriminator},
    ZERO_TO_ONE,
)
