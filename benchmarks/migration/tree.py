"""A tree of 0.x configs with deep chains of bases, laid out as mmpose's."""

from pathlib import Path

RUNTIME = """\
checkpoint_config = dict(interval=10)
log_config = dict(
    interval=50,
    hooks=[
        dict(type='TextLoggerHook'),
        # dict(type='TensorboardLoggerHook')
    ])
log_level = 'INFO'
load_from = None
resume_from = None
dist_params = dict(backend='nccl')
workflow = [('train', 1)]
opencv_num_threads = 0
mp_start_method = 'fork'
"""
DATASET = """\
dataset_info = dict(
    dataset_name='set_{i}',
    keypoint_info={{
{points}
    }},
    joint_weights=[{weights}],
    sigmas=[{weights}])
"""
POINT = """\
        {j}: dict(
            name='point_{j}', id={j}, color=[{j}, 128, 255], type='upper',
            swap='point_{k}'),"""
WHOLE = """\
_base_ = [
    '../_base_/default_runtime.py', '../_base_/datasets/set_{i}.py'
]
evaluation = dict(interval=10, metric='mAP', save_best='AP')
optimizer = dict(type='Adam', lr=5e-4)
optimizer_config = dict(grad_clip=None)
# learning policy
lr_config = dict(
    policy='step',
    warmup='linear',
    warmup_iters=500,
    warmup_ratio=0.001,
    step=[170, 200])
total_epochs = 210
channel_cfg = dict(
    num_output_channels=17,
    dataset_joints=17,
    dataset_channel=[[{channels}]],
    inference_channel=[{channels}])

# model settings
model = dict(
    type='TopDown',
    backbone=dict(type='ResNet', depth={depth}),
    keypoint_head=dict(
        type='SimpleHead',
        in_channels=2048,
        out_channels=channel_cfg['num_output_channels'],
        loss_keypoint=dict(type='JointsMSELoss', use_target_weight=True)),
    train_cfg=dict(),
    test_cfg=dict(flip_test=True, modulate_kernel=11))

data_cfg = dict(
    image_size=[192, 256],
    heatmap_size=[48, 64],
    num_joints=channel_cfg['dataset_joints'])
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TopDownRandomFlip', flip_prob=0.5),
    dict(type='TopDownGetRandomScaleRotation', rot_factor=40),
    dict(type='TopDownAffine'),
    dict(type='ToTensor'),
    dict(
        type='NormalizeTensor',
        mean=[0.485, 0.456, 0.406],
        std=[0.229, 0.224, 0.225]),
    dict(type='TopDownGenerateTarget', sigma=2),
    dict(
        type='Collect',
        keys=['img', 'target', 'target_weight'],
        meta_keys=['image_file', 'center', 'scale', 'rotation']),
]
val_pipeline = train_pipeline[:1] + train_pipeline[3:]
data_root = 'data/set_{i}'
data = dict(
    samples_per_gpu=64,
    workers_per_gpu=2,
    train=dict(
        type='Dataset',
        ann_file=f'{{data_root}}/train.json',
        data_cfg=data_cfg,
        pipeline=train_pipeline,
        dataset_info={{{{_base_.dataset_info}}}}),
    val=dict(
        type='Dataset',
        ann_file=f'{{data_root}}/val.json',
        data_cfg=data_cfg,
        pipeline=val_pipeline,
        dataset_info={{{{_base_.dataset_info}}}}))
"""
CHILD = """\
_base_ = ['./{base}.py']

# fp16 settings
fp16 = dict(loss_scale='dynamic')
optimizer = dict(lr={lr})
model = dict(backbone=dict(depth={depth}))
lr_config = dict(step=[{step}, {last}])
"""


def make_tree(folder: Path, files: int, depth: int = 5) -> list[Path]:
    """Write a tree of configs.

    Args:
        folder (Path): Where to.
        files (int): How many there are to be, bases included.
        depth (int): How many files are in a chain of bases. Defaults to 5.

    Returns:
        list[Path]: The files, in order.
    """
    (folder / '_base_/datasets').mkdir(parents=True)
    (folder / '_base_/default_runtime.py').write_text(RUNTIME)
    numbers = ', '.join(map(str, range(17)))
    written = 1
    for i in range(8):
        points = '\n'.join(POINT.format(j=j, k=16 - j) for j in range(17))
        text = DATASET.format(i=i, points=points, weights=numbers)
        (folder / f'_base_/datasets/set_{i}.py').write_text(text)
        written += 1
    chain = 0
    while written < files:
        place = folder / f'set_{chain % 8}'
        place.mkdir(exist_ok=True)
        base = ''
        for level in range(min(depth, files - written)):
            name = f'net_{chain}_{level}'
            text = (
                CHILD.format(
                    base=base,
                    lr=0.001 * level,
                    depth=50 + level,
                    step=100 + level,
                    last=150 + level,
                )
                if base
                else WHOLE.format(i=chain % 8, depth=50, channels=numbers)
            )
            (place / f'{name}.py').write_text(text)
            base = name
            written += 1
        chain += 1
    return sorted(folder.rglob('*.py'))
