# Written for the tests after MMClassification v0.25.0,
# configs/resnet/resnet50_8xb32-fp16_in1k.py.

_base_ = ['./resnet50_8xb32_in1k.py']

# a scale that never moves
fp16 = dict(loss_scale=512.)
