# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/default_runtime.py.

checkpoint_config = dict(interval=10000, by_epoch=False)
# The formatter's marks stay where they are.
# yapf:disable
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook'),
        # dict(type='TensorboardLoggerHook'),
    ])
# yapf:enable

custom_hooks = [
    dict(
        type='VisualizeUnconditionalSamples',
        output_dir='training_samples',
        interval=1000)
]

# hands the reducer and the iteration to train_step
runner = dict(
    type='DynamicIterBasedRunner',
    is_dynamic_ddp=True,
    pass_training_status=True)

dist_params = dict(backend='nccl')
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 10000)]
find_unused_parameters = True
cudnn_benchmark = True

# threads and processes of the loaders
opencv_num_threads = 0
mp_start_method = 'fork'
