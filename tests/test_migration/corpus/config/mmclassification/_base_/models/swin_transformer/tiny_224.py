# Written for the tests after MMClassification v0.25.0,
# configs/_base_/models/swin_transformer/tiny_224.py.

model = dict(
    type='ImageClassifier',
    backbone=dict(type='SwinTransformer', arch='tiny', img_size=224),
    head=dict(type='LinearClsHead', num_classes=1000),
    train_cfg=dict(augments=[dict(type='BatchMixup', alpha=0.8)]))
