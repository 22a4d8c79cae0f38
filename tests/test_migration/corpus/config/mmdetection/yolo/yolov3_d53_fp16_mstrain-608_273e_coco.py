# Written for the tests after MMDetection v2.28.2,
# configs/yolo/yolov3_d53_fp16_mstrain-608_273e_coco.py.

_base_ = './yolov3_d53_mstrain-608_273e_coco.py'
# the scaler finds the scale
fp16 = dict(loss_scale='dynamic')
