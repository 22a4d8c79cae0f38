# Written for the tests after MMClassification v0.25.0,
# configs/swin_transformer/swin-tiny_16xb64_in1k.py.

_base_ = [
    '../_base_/models/swin_transformer/tiny_224.py',
    '../_base_/datasets/imagenet_bs64_swin_224.py',
    '../_base_/schedules/imagenet_bs1024_adamw_swin.py',
    '../_base_/default_runtime.py'
]
