# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/models/improved_ddpm/ddpm_64x64.py.

model = dict(
    type='BasicGaussianDiffusion',
    num_timesteps=4000,
    betas_cfg=dict(type='cosine'),
    denoising=dict(type='DenoisingUnet', image_size=64, dropout=0),
    timestep_sampler=dict(type='UniformTimeStepSampler'),
    ddpm_loss=[
        dict(
            type='DDPMVLBLoss',
            rescale_mode='constant',
            rescale_cfg=dict(scale=4000 / 1000)),
        dict(type='DDPMMSELoss')
    ],
)

train_cfg = dict(use_ema=True, real_img_key='img')
test_cfg = None
optimizer = dict(denoising=dict(type='AdamW', lr=1e-4, weight_decay=0))
