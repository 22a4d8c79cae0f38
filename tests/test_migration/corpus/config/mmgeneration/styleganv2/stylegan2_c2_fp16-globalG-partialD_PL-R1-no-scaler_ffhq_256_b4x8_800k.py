# Written for the tests after MMGeneration v0.7.3,
# configs/styleganv2/
# stylegan2_c2_fp16-globalG-partialD_PL-R1-no-scaler_ffhq_256_b4x8_800k.py.

"""The generator in half precision, four scales of the discriminator."""

_base_ = ['./stylegan2_c2_ffhq_256_b4x8_800k.py']

model = dict(
    generator=dict(out_size=256, fp16_enabled=True),
    discriminator=dict(in_size=256, fp16_enabled=False, num_fp16_scales=4),
)

total_iters = 800000

use_ddp_wrapper = True
find_unused_parameters = False

# the type comes from the base
runner = dict(
    fp16_loss_scaler=dict(init_scale=512),
    is_dynamic_ddp=False,  # goes with the wrapper above
)
