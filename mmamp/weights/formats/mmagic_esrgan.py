"""MMagic's and MMEditing's ESRGAN, whose networks are BasicSR's."""

from mmamp.models.archs import RRDBNet, SRGANDiscriminator
from mmamp.weights.format import ZERO_TO_ONE, Format
from mmamp.weights.layouts import join_openmmlab

from .basicsr import discriminator, rrdb

MMAGIC_ESRGAN = Format(
    'mmagic-esrgan',
    join_openmmlab,
    {RRDBNet: rrdb, SRGANDiscriminator: discriminator},
    ZERO_TO_ONE,
)
