"""MMagic's own guide from 0.x: its left columns give its right columns.

docs/en/migration of open-mmlab/mmagic (amp, optimizers, schedule, runtime,
distributed_train, eval_test), in the settings that the tool converts. Where a
right column has another value than its left on purpose or by mistake, the
comment says so.
"""

import pytest

OPTIMIZER = """
optimizer = dict(
    generator=dict(type='Adam', lr=0.0001, betas=(0.0, 0.999), eps=1e-6),
    discriminator=dict(type='Adam', lr=0.0004, betas=(0.0, 0.999), eps=1e-6))
"""
ADAM = dict(type='Adam', betas=(0.0, 0.999), eps=1e-6)


@pytest.fixture
def settings(migrated):
    def run(text):
        scope = {}
        exec(migrated.after(text), scope)
        return scope

    return run


def test_amp(settings):
    """Its left column is the runner alone; the scale of each wrapper."""
    new = settings(
        OPTIMIZER + 'runner = dict(fp16_loss_scaler=dict(init_scale=512))\n'
    )
    # The right column has 'dynamic', from torch's default of 65536.
    scale = dict(init_scale=512)
    for name, lr in (('generator', 0.0001), ('discriminator', 0.0004)):
        assert new['optim_wrapper'][name] == dict(
            type='mmamp.AmpOptimWrapper',
            optimizer=dict(ADAM, lr=lr),
            loss_scale=scale,
        )


def test_optimizers(settings):
    """The right column has 0.0002 for a 0.0001 of the left."""
    assert settings(OPTIMIZER)['optim_wrapper'] == dict(
        constructor='mmamp.OptimWrapperConstructor',
        generator=dict(optimizer=dict(ADAM, lr=0.0001)),
        discriminator=dict(optimizer=dict(ADAM, lr=0.0004)),
    )


def test_steps(settings):
    new = settings(
        OPTIMIZER + "model = dict(type='BasiccGAN')\n"
        'train_cfg = dict(disc_steps=8, gen_steps=1,\n'
        '    batch_accumulation_steps=8, use_ema=True)\n'
    )
    assert new['model']['generator_steps'] == 1
    assert new['model']['discriminator_steps'] == 1
    for name, lr in (('generator', 0.0001), ('discriminator', 0.0004)):
        assert new['optim_wrapper'][name] == dict(
            accumulative_counts=8, optimizer=dict(ADAM, lr=lr)
        )


def test_schedule(settings):
    new = settings(
        """
        optimizers = dict(
            generator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)))
        total_iters = 300000
        lr_config = dict(
            policy='Step', by_epoch=False, step=[200000], gamma=0.5)
        evaluation = dict(interval=5000)
        """
    )
    assert new['optim_wrapper'] == dict(
        type='OptimWrapper',
        optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)),
    )
    scheduler = new['param_scheduler']
    assert (
        scheduler if isinstance(scheduler, dict) else scheduler[0]
    ) == dict(
        type='MultiStepLR', by_epoch=False, milestones=[200000], gamma=0.5
    )
    assert new['train_cfg'] == dict(
        by_epoch=False, max_iters=300000, val_interval=5000
    )


def test_runtime(settings):
    new = settings(
        """
        checkpoint_config = dict(
            interval=5000, save_optimizer=True, by_epoch=False)
        log_config = dict(
            interval=100,
            hooks=[
                dict(type='TextLoggerHook', by_epoch=False),
                dict(type='TensorboardLoggerHook'),
            ])
        visual_config = None
        dist_params = dict(backend='nccl')
        log_level = 'INFO'
        load_from = None
        resume_from = None
        workflow = [('train', 1)]
        """
    )
    checkpoint = new['default_hooks']['checkpoint']
    assert checkpoint == dict(
        type='CheckpointHook',
        interval=5000,
        save_optimizer=True,
        by_epoch=False,
    )
    logger = new['default_hooks']['logger']
    assert (logger['type'], logger['interval']) == ('LoggerHook', 100)
    assert new['env_cfg']['dist_cfg'] == dict(backend='nccl')
    assert new['log_processor']['by_epoch'] is False
    assert new['log_level'] == 'INFO'
    assert new['load_from'] is None
    assert not new.get('resume', False)
    assert not {'workflow', 'resume_from', 'visual_config'} & set(new)


@pytest.mark.parametrize('dynamic', [False, True])
def test_distributed(settings, dynamic):
    new = settings(
        f'use_ddp_wrapper = {not dynamic}\n'
        'find_unused_parameters = False\n'
        "runner = dict(type='DynamicIterBasedRunner',\n"
        f'    is_dynamic_ddp={dynamic})\n'
    )
    assert new['model_wrapper_cfg'] == dict(
        type='MMSeparateDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=dynamic,
    )
    assert 'runner' not in new


def test_evaluation(settings):
    new = settings(
        """
        total_iters = 1000000
        runner = dict(
            type='DynamicIterBasedRunner',
            is_dynamic_ddp=False,
            pass_training_status=True)
        evaluation = dict(
            type='GenerativeEvalHook', interval=10000,
            metrics=dict(type='IS', num_images=50000))
        """
    )
    loop = new['train_cfg']
    assert loop['by_epoch'] is False
    assert (loop['max_iters'], loop['val_interval']) == (1000000, 10000)
