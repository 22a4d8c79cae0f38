# Written for the tests after MMGeneration v0.7.3,
# configs/improved_ddpm/
# ddpm_cosine_hybird_timestep-4k_drop0.3_imagenet1k_64x64_b8x16_1500k.py.

_base_ = [
    '../_base_/models/improved_ddpm/ddpm_64x64.py',
    '../_base_/datasets/imagenet_noaug_64.py', '../_base_/default_runtime.py'
]

model = dict(denoising=dict(dropout=0.3))

lr_config = None
checkpoint_config = dict(interval=10000, by_epoch=False, max_keep_ckpts=20)
custom_hooks = [
    dict(
        type='MMGenVisualizationHook',
        output_dir='training_samples',
        res_name_list=['real_imgs', 'x_0_pred', 'x_t', 'x_t_1'],
        padding=1,
        interval=1000),
    dict(
        type='ExponentialMovingAverageHook',
        module_keys=('denoising_ema'),
        interval=1,
        start_iter=0,
        interp_cfg=dict(momentum=0.9999),
        priority='VERY_HIGH')
]

# sampling takes too long to validate on the way
evaluation = None

total_iters = 1500000
data = dict(samples_per_gpu=16)

use_ddp_wrapper = True
find_unused_parameters = False

runner = dict(
    type='DynamicIterBasedRunner',
    is_dynamic_ddp=False,
    pass_training_status=True)

inception_pkl = './work_dirs/inception_pkl/imagenet_64x64.pkl'
metrics = dict(
    fid50k=dict(type='FID', num_images=50000, inception_pkl=inception_pkl))
