# Written for the tests after MMDetection v2.28.2,
# configs/_base_/models/mask_rcnn_r50_fpn.py.

model = dict(
    type='MaskRCNN',
    backbone=dict(type='ResNet', depth=50),
    train_cfg=dict(rpn=dict(pos_weight=-1, debug=False)),
    test_cfg=dict(rpn=dict(nms_pre=1000)))
