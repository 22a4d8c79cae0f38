# Written for the tests after MMClassification v0.25.0,
# configs/_base_/models/mobilenet_v2_1x.py.

model = dict(
    type='ImageClassifier',
    backbone=dict(type='MobileNetV2', widen_factor=1.0),
    head=dict(type='LinearClsHead', num_classes=1000))
