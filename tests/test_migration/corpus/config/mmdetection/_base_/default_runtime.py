# Written for the tests after MMDetection v2.28.2,
# configs/_base_/default_runtime.py.

checkpoint_config = dict(interval=1)
# yapf:disable
log_config = dict(
    interval=50,
    hooks=[
        dict(type='TextLoggerHook'),
        # dict(type='TensorboardLoggerHook')
    ])
# yapf:enable
custom_hooks = [dict(type='NumClassCheckHook')]

dist_params = dict(backend='nccl')
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 1)]

# threads and processes of the loaders
opencv_num_threads = 0
mp_start_method = 'fork'

auto_scale_lr = dict(enable=False, base_batch_size=16)
