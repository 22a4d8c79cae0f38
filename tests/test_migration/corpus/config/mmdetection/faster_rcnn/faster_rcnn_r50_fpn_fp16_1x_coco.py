# Written for the tests after MMDetection v2.28.2,
# configs/faster_rcnn/faster_rcnn_r50_fpn_fp16_1x_coco.py.

_base_ = './faster_rcnn_r50_fpn_1x_coco.py'
# a scale that never moves
fp16 = dict(loss_scale=512.)
