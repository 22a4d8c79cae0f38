"""The formats that are known: one file each, and here their list."""

from mmamp.weights.format import Format

from .basicsr import BASICSR
from .biggan_pytorch import BIGGAN_PYTORCH
from .mmagic_biggan import MMAGIC_BIGGAN, MMAGIC_BIGGAN_TORCH
from .mmagic_cyclegan import MMAGIC_CYCLEGAN
from .mmagic_dcgan import MMAGIC_DCGAN
from .mmagic_esrgan import MMAGIC_ESRGAN
from .mmagic_lsgan import MMAGIC_LSGAN
from .mmagic_pix2pix import MMAGIC_PIX2PIX
from .mmagic_sagan import MMAGIC_SAGAN
from .mmagic_srgan import MMAGIC_SRGAN
from .mmagic_stylegan2 import MMAGIC_STYLEGAN2
from .stylegan2_ada import STYLEGAN2_ADA

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        BASICSR,
        MMAGIC_ESRGAN,
        MMAGIC_SRGAN,
        MMAGIC_DCGAN,
        MMAGIC_LSGAN,
        MMAGIC_SAGAN,
        MMAGIC_BIGGAN,
        MMAGIC_BIGGAN_TORCH,
        MMAGIC_PIX2PIX,
        MMAGIC_CYCLEGAN,
        MMAGIC_STYLEGAN2,
        BIGGAN_PYTORCH,
        STYLEGAN2_ADA,
    )
}
"""By name, in the order in which they are tried."""
