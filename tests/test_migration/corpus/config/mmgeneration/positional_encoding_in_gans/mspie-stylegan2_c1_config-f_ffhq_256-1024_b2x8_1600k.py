# Written for the tests after MMGeneration v0.7.3,
# configs/positional_encoding_in_gans/
# mspie-stylegan2_c1_config-f_ffhq_256-1024_b2x8_1600k.py.

_base_ = [
    '../_base_/datasets/ffhq_flip.py',
    '../_base_/models/stylegan/stylegan2_base.py',
    '../_base_/default_runtime.py'
]

model = dict(
    type='MSPIEStyleGAN2',
    generator=dict(type='MSStyleGANv2Generator', out_size=256),
    discriminator=dict(type='MSStyleGAN2Discriminator', in_size=256))

train_cfg = dict(
    num_upblocks=6,
    multi_input_scales=[0, 4, 12],
    multi_scale_probability=[0.5, 0.25, 0.25])

data = dict(
    samples_per_gpu=2,
    train=dict(dataset=dict(imgs_root='./data/ffhq/images')))

ema_half_life = 10.
custom_hooks = [
    dict(
        type='VisualizeUnconditionalSamples',
        output_dir='training_samples',
        interval=5000),
    dict(
        type='ExponentialMovingAverageHook',
        module_keys=('generator_ema', ),
        interval=1,
        interp_cfg=dict(momentum=0.5**(32. / (ema_half_life * 1000.))),
        priority='VERY_HIGH')
]

checkpoint_config = dict(interval=10000, by_epoch=False, max_keep_ckpts=40)
lr_config = None

log_config = dict(interval=100, hooks=[dict(type='TextLoggerHook')])

# sizes change from batch to batch
cudnn_benchmark = False
total_iters = 1500002

metrics = dict(pr10k3=dict(type='PR', num_images=10000, k=3))
