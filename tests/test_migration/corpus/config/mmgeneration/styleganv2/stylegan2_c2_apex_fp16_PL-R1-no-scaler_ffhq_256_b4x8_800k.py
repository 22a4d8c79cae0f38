# Written for the tests after MMGeneration v0.7.3,
# configs/styleganv2/
# stylegan2_c2_apex_fp16_PL-R1-no-scaler_ffhq_256_b4x8_800k.py.

"""With Apex; both regularisers stay out of its scaling."""

_base_ = ['./stylegan2_c2_ffhq_256_b4x8_800k.py']

model = dict(
    disc_auxiliary_loss=dict(use_apex_amp=False),
    gen_auxiliary_loss=dict(use_apex_amp=False),
)

total_iters = 800002

apex_amp = dict(mode='gan', init_args=dict(opt_level='O1', num_losses=2))
resume_from = None
