# Written for the tests after MMClassification v0.25.0,
# configs/resnet/resnet50_32xb64-warmup_in1k.py.

_base_ = [
    '../_base_/models/resnet50.py', '../_base_/datasets/imagenet_bs64.py',
    '../_base_/schedules/imagenet_bs2048.py', '../_base_/default_runtime.py'
]
