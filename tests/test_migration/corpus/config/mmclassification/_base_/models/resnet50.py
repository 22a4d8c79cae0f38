# Written for the tests after MMClassification v0.25.0,
# configs/_base_/models/resnet50.py.

model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=50),
    head=dict(type='LinearClsHead', num_classes=1000))
