# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/datasets/grow_scale_imgs_ffhq_styleganv1.py.

dataset_type = 'GrowScaleImgDataset'
data = dict(
    samples_per_gpu=None,
    workers_per_gpu=4,
    train=dict(
        type=dataset_type,
        imgs_roots={'256': './data/ffhq/ffhq_imgs/ffhq_256'},
        gpu_samples_base=4,
        gpu_samples_per_scale={'8': 16, '16': 16, '32': 8, '64': 4},
        len_per_stage=300000))
