# Written for the tests after MMGeneration v0.7.3,
# configs/styleganv2/
# stylegan2_c2_fp16_partial-GD_PL-no-scaler_ffhq_256_b4x8_800k.py.

"""Four scales of both networks in half precision."""

_base_ = ['./stylegan2_c2_ffhq_256_b4x8_800k.py']

model = dict(
    generator=dict(out_size=256, num_fp16_scales=4),
    discriminator=dict(in_size=256, num_fp16_scales=4),
    # R1 knows of the scaler, the path length does not
    disc_auxiliary_loss=dict(data_info=dict(loss_scaler='loss_scaler')),
    # gen_auxiliary_loss=dict(data_info=dict(loss_scaler='loss_scaler')),
)

total_iters = 800002

use_ddp_wrapper = True
find_unused_parameters = False

runner = dict(
    fp16_loss_scaler=dict(init_scale=512),
    is_dynamic_ddp=False,
)
