_base_ = ['_base_/runtime.py', '_base_/data.py']
model = dict(type='Classifier')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
param_scheduler = dict(type='LinearLR', start_factor=0.1, end=1)
train_cfg = dict(by_epoch=True, max_epochs=2)
val_evaluator = dict(type='TopOne')
