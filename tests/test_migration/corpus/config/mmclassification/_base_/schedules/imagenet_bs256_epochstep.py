# Written for the tests after MMClassification v0.25.0,
# configs/_base_/schedules/imagenet_bs256_epochstep.py.

optimizer = dict(type='SGD', lr=0.045, momentum=0.9, weight_decay=0.00004)
optimizer_config = dict(grad_clip=None)
# a little less after each pass
lr_config = dict(policy='step', gamma=0.98, step=1)
runner = dict(type='EpochBasedRunner', max_epochs=300)
