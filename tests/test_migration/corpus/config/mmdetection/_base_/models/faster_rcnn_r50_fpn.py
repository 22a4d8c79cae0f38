# Written for the tests after MMDetection v2.28.2,
# configs/_base_/models/faster_rcnn_r50_fpn.py.

model = dict(
    type='FasterRCNN',
    backbone=dict(type='ResNet', depth=50),
    # model-wide keys of the detector, not of the loop
    train_cfg=dict(rpn=dict(pos_weight=-1, debug=False)),
    test_cfg=dict(rpn=dict(nms_pre=1000)))
