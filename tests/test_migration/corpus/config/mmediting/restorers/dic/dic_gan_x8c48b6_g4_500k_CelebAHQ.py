# Written for the tests after MMEditing v0.16.1,
# configs/restorers/dic/dic_gan_x8c48b6_g4_500k_CelebAHQ.py.

exp_name = 'dic_gan_x8c48b6_g4_150k_CelebAHQ'
scale = 8

model = dict(
    type='DIC',
    generator=dict(type='DICNet', num_steps=4),
    discriminator=dict(type='LightCNN', in_channels=3),
    pixel_loss=dict(type='L1Loss', loss_weight=1.0, reduction='mean'),
    gan_loss=dict(type='GANLoss', gan_type='vanilla', loss_weight=0.005))
# here a step of the discriminator is repeated within an iteration
train_cfg = dict(fix_iter=10000, disc_steps=2)
test_cfg = dict(metrics=['PSNR', 'SSIM'], crop_border=scale)

data = dict(
    workers_per_gpu=4,
    train_dataloader=dict(samples_per_gpu=2, drop_last=True),
    train=dict(type='SRFacialLandmarkDataset', scale=scale))

optimizers = dict(
    generator=dict(type='Adam', lr=1.e-4),
    discriminator=dict(type='Adam', lr=1.e-5))

total_iters = 500000
lr_config = dict(
    policy='Step',
    by_epoch=False,
    step=[100000, 200000, 300000, 400000],
    gamma=0.5)

checkpoint_config = dict(interval=2000, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=2000, save_image=True, gpu_collect=True)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
        # dict(type='TensorboardLoggerHook')
    ])
visual_config = None

dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = f'./work_dirs/{exp_name}'
load_from = None
resume_from = None
workflow = [('train', 1)]
find_unused_parameters = True
