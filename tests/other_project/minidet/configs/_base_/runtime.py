default_scope = 'minidet'
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='mmengine.CheckpointHook', interval=1),
)
custom_hooks = [dict(type='DtypeHook', module='head.2')]
randomness = dict(seed=0)
