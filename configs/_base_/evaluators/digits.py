# Scores of generated 32x32 digits, and how many are digits. FID, KID and IS
# are by the features of a small classifier of digits, whose weights are in the
# repository: comparable between machines, not with values by Inception.
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
    dict(type='DigitShare'),
]
test_evaluator = val_evaluator
