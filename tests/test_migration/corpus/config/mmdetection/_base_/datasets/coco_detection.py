# Written for the tests after MMDetection v2.28.2,
# configs/_base_/datasets/coco_detection.py.

dataset_type = 'CocoDataset'
data_root = 'data/coco/'
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=2,
    train=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/instances_train2017.json'),
    val=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/instances_val2017.json'))
evaluation = dict(interval=1, metric='bbox')
