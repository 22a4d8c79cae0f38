# Written for the tests after MMClassification v0.25.0,
# configs/resnet/resnet50_8xb32-fp16-dynamic_in1k.py.

_base_ = ['./resnet50_8xb32_in1k.py']

# the scaler finds the scale
fp16 = dict(loss_scale='dynamic')
