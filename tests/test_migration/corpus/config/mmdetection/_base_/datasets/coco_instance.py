# Written for the tests after MMDetection v2.28.2,
# configs/_base_/datasets/coco_instance.py.

dataset_type = 'CocoDataset'
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=2,
    train=dict(type=dataset_type),
    val=dict(type=dataset_type))
evaluation = dict(metric=['bbox', 'segm'])
