# Written for the tests after MMDetection v2.28.2,
# configs/swin/mask_rcnn_swin-t-p4-w7_fpn_fp16_ms-crop-3x_coco.py.

_base_ = './mask_rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py'
# arguments of the scaler
fp16 = dict(loss_scale=dict(init_scale=512))
