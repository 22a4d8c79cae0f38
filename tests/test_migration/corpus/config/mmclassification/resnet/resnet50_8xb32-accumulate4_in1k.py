# Written for the tests after MMClassification v0.25.0,
# docs/zh_CN/tutorials/schedule.md.

_base_ = ['./resnet50_8xb32_in1k.py']

# as if the batch were four times as large
optimizer_config = dict(
    type='GradientCumulativeOptimizerHook', cumulative_iters=4)
