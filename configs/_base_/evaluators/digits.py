# Scores of generated 32x32 digits. FID, KID and IS are by the features of a
# small classifier of digits, whose weights are in the repository: comparable
# between machines, not with values by Inception. Beside this a config needs
# `train_cfg=dict(val_interval=...)`.
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='DigitsDataset',
        pipeline=[
            dict(type='Resize', scale=(32, 32), interpolation='bicubic'),
            dict(type='PackImage'),
        ],
    ),
)
val_cfg = dict()
val_evaluator = [
    dict(
        type='FeatureMetric',
        metrics=['FID', 'KID', 'IS'],
        feature_network=dict(
            type='DigitFeatures',
            checkpoint='{{ fileDirname }}/../../digit_features/'
            'digit_features_cnn-32x32.pth',
        ),
    ),
    dict(type='SWD', num_patches=16),
    dict(type='MSSSIM', num_pairs=500),
]

test_dataloader = val_dataloader
test_cfg = dict()
test_evaluator = val_evaluator
