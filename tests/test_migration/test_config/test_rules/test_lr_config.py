"""``lr_config`` and ``momentum_config`` become ``param_scheduler``."""

import pytest


def test_steps_with_a_warm_up(check):
    check(
        """
        max_epochs = 12
        # The learning rate.
        lr_config = dict(
            policy='step',
            warmup='linear',
            warmup_iters=500,
            warmup_ratio=0.001,
            step=[max_epochs - 4, max_epochs - 1])
        train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
        """,
        """
        max_epochs = 12
        # The learning rate.
        param_scheduler = [
            dict(
                type='LinearLR',
                start_factor=0.001,
                by_epoch=False,
                begin=0,
                end=501),
            dict(
                type='MultiStepLR',
                by_epoch=True,
                milestones=[max_epochs - 4, max_epochs - 1],
                gamma=0.1)]
        train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
        """,
    )


@pytest.mark.parametrize(
    'run',
    [
        'total_iters = 300',
        'train_cfg = dict(max_iters=300)',
        "runner = dict(type='IterBasedRunner', max_iters=300)",
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=300)",
    ],
)
def test_the_runner_says_what_is_counted(migrated, run):
    """MMCV's runner of iterations makes them the default."""
    after = migrated.after(
        f"{run}\nlr_config = dict(policy='CosineAnnealing', min_lr=0)\n"
    )
    assert 'CosineAnnealingLR' in after
    assert 'by_epoch=False, T_max=300, eta_min=0' in after


def test_the_length_keeps_its_name(check):
    check(
        """
        epochs = 30
        train_cfg = dict(by_epoch=True, max_epochs=epochs)
        lr_config = dict(policy='poly', power=0.9, min_lr=1e-4)
        """,
        """
        epochs = 30
        train_cfg = dict(by_epoch=True, max_epochs=epochs)
        param_scheduler = [
            dict(
                type='PolyLR',
                by_epoch=True,
                power=0.9,
                eta_min=1e-4,
                begin=0,
                end=epochs + 1)]
        """,
    )


def test_stairs_of_mmgeneration(check):
    check(
        """
        train_cfg = dict(by_epoch=False, max_iters=80000)
        lr_config = dict(
            policy='Linear', by_epoch=False, target_lr=0, start=40000,
            interval=400)
        """,
        """
        train_cfg = dict(by_epoch=False, max_iters=80000)
        param_scheduler = [
            dict(
                type='mmamp.LinearLrInterval',
                interval=400,
                by_epoch=False,
                start_factor=1.0,
                end_factor=0,
                begin=40000,
                end=80000)]
        custom_imports = dict(imports=['mmamp'], allow_failed_imports=False)
        """,
    )


def test_reduced_on_a_plateau(check):
    told = check(
        """
        train_cfg = dict(by_epoch=False, max_iters=100)
        lr_config = dict(
            policy='Reduce',
            by_epoch=False,
            mode='max',
            val_metric='PSNR',
            epoch_base_valid=True,
            factor=0.5,
            patience=5,
            cooldown=0)
        """,
        """
        train_cfg = dict(by_epoch=False, max_iters=100)
        param_scheduler = [
            dict(
                type='ReduceOnPlateauLR',
                monitor='PSNR',
                rule='greater',
                factor=0.5,
                patience=5,
                cooldown=0)]
        """,
    )
    assert 'monitor' in told.said('warned')[0]


@pytest.mark.parametrize(
    'config', ['None', "dict(policy='Fixed')", "dict(policy='fixed')"]
)
def test_a_constant_rate_needs_none(check, config):
    check(f'lr_config = {config}\nwork_dir = 1\n', 'work_dir = 1\n')


def test_a_constant_rate_overrides_the_base(check):
    check(
        """
        _base_ = './base.py'
        lr_config = None
        """,
        """
        _base_ = './base.py'
        param_scheduler = None
        """,
        base="""
        total_iters = 5
        lr_config = dict(policy='step', step=[2])
        """,
    )


OLD = """
lr_config = dict(
    policy='step', warmup='linear', warmup_iters=500, warmup_ratio=0.1,
    step=[8, 11])
runner = dict(type='EpochBasedRunner', max_epochs=12)
"""
NEW = """
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=501),
    dict(type='MultiStepLR', by_epoch=True, milestones=[8, 11], gamma=0.1)]
train_cfg = dict(by_epoch=True, max_epochs=12)
"""


@pytest.mark.parametrize('base', [OLD, NEW])
def test_what_a_child_says_of_it(check, base):
    """Whether the base was migrated before or not."""
    check(
        """
        _base_ = './base.py'
        lr_config = dict(step=[16, 22])
        """,
        """
        _base_ = './base.py'
        param_scheduler = [
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=501),
            dict(type='MultiStepLR', by_epoch=True, milestones=[16, 22], gamma=0.1)]
        """,
        base=base,
    )


@pytest.mark.parametrize('base', [OLD, NEW])
def test_a_child_with_another_policy(check, base):
    check(
        """
        _base_ = './base.py'
        lr_config = dict(_delete_=True, policy='CosineAnnealing', min_lr=0)
        """,
        """
        _base_ = './base.py'
        param_scheduler = [
            dict(type='CosineAnnealingLR', by_epoch=True, T_max=12, eta_min=0)]
        """,
        base=base,
    )


def test_a_longer_run_is_annealed_longer(check):
    check(
        """
        _base_ = './base.py'
        train_cfg = dict(max_epochs=36)
        """,
        """
        _base_ = './base.py'
        param_scheduler = [
            dict(type='CosineAnnealingLR', by_epoch=True, T_max=36, eta_min=0)]
        train_cfg = dict(max_epochs=36)
        """,
        base="""
        lr_config = dict(policy='CosineAnnealing', min_lr=0)
        train_cfg = dict(by_epoch=True, max_epochs=12)
        """,
    )


def test_a_list_for_each_network(check):
    check(
        """
        train_cfg = dict(by_epoch=False, max_iters=10)
        lr_config = dict(
            generator=dict(policy='step', step=[5]),
            discriminator=None)
        """,
        """
        train_cfg = dict(by_epoch=False, max_iters=10)
        param_scheduler = dict(
            generator=[
                dict(type='MultiStepLR', by_epoch=False, milestones=[5], gamma=0.1)],
            discriminator=[])
        """,
    )


def test_momentum_comes_after_the_rate(check):
    check(
        """
        train_cfg = dict(by_epoch=False, max_iters=10)
        lr_config = dict(policy='step', step=[5])
        momentum_config = dict(policy='CosineAnnealing', min_momentum=0.5)
        """,
        """
        train_cfg = dict(by_epoch=False, max_iters=10)
        param_scheduler = [
            dict(type='MultiStepLR', by_epoch=False, milestones=[5], gamma=0.1),
            dict(
                type='CosineAnnealingMomentum',
                by_epoch=False,
                T_max=10,
                eta_min=0.5)]
        """,
    )


def test_a_warm_up_in_epochs(check):
    check(
        """
        train_cfg = dict(by_epoch=True, max_epochs=9)
        lr_config = dict(
            policy='step', step=2, warmup='constant', warmup_iters=3,
            warmup_by_epoch=True)
        """,
        """
        train_cfg = dict(by_epoch=True, max_epochs=9)
        param_scheduler = [
            dict(
                type='mmamp.ConstantLrToEnd',
                factor=0.1,
                by_epoch=True,
                begin=0,
                end=3,
                convert_to_iter_based=True),
            dict(type='StepLR', by_epoch=True, step_size=2, gamma=0.1)]
        custom_imports = dict(imports=['mmamp'], allow_failed_imports=False)
        """,
    )


def test_a_warm_up_from_the_whole_rate_is_none(check):
    check(
        """
        train_cfg = dict(by_epoch=False, max_iters=9)
        lr_config = dict(
            policy='step', step=[2], gamma=0.5, warmup='linear',
            warmup_iters=10, warmup_ratio=1.0)
        """,
        """
        train_cfg = dict(by_epoch=False, max_iters=9)
        param_scheduler = [
            dict(type='MultiStepLR', by_epoch=False, milestones=[2], gamma=0.5)]
        """,
    )


@pytest.mark.parametrize(
    ('config', 'reason'),
    [
        (
            "policy='Mine', gamma=1",
            'no policy like Mine; known here are Fixed',
        ),
        (
            "policy='StepFixCosineAnnealing', min_lr=0, warmup='exp', "
            'warmup_iters=3',
            'near others are a LinearLR',
        ),
        (
            "policy='CosineRestart', periods=[9], restart_weights=[1], "
            "min_lr=0.1, warmup='linear', warmup_iters=3",
            'the warm-up scaled its minimum',
        ),
        (
            "policy='OneCycle', max_lr=1, warmup='linear', warmup_iters=3",
            'warms up itself',
        ),
        ("policy='YOLOX', num_last_epochs=1", 'of a run of epochs'),
        ("policy='LinearAnnealing', min_lr=0.1", 'its goal as a factor'),
        ("policy='step', step=[1], min_lr=1e-5", 'no min_lr for steps'),
        ("policy='step'", 'at which steps'),
        ("policy='step', step=[1], lr=3", 'lr: not a setting'),
        ("policy='Reduce', factor=0.5", 'follows the training loss'),
        ("policy='step', step=[1], warmup='cubic'", "warmup='cubic' is none"),
        ("policy='cyclic', target_ratio=(1, 2, 3)", 'target_ratio'),
        ("policy='CosineAnnealing', min_lr=0, min_lr_ratio=0", 'both set'),
    ],
)
def test_what_has_no_counterpart_stays(migrated, config, reason):
    before = f'train_cfg = dict(max_iters=9)\nlr_config = dict({config})\n'
    after = migrated.after(before)
    assert after.startswith(
        'train_cfg = dict(max_iters=9)\n# TODO(mmamp migrate): '
    )
    assert after.endswith(f'lr_config = dict({config})\n')
    (said,) = migrated.said('todo')
    assert reason in said


def test_a_span_that_is_not_known_stays(migrated):
    migrated.after(
        "train_cfg = dict(by_epoch=False)\nlr_config = dict(policy='poly')\n"
    )
    (said,) = migrated.said('todo')
    assert 'how long' in said


@pytest.mark.parametrize(
    'text',
    [
        'lr_config = dict(step=[8, 11])\n',
        "lr_config = dict(policy='step', step=[8, 11])\n",
    ],
)
def test_a_part_is_left_for_those_that_have_the_rest(migrated, text):
    assert migrated.after(text) == text
    assert 'inherit' in migrated.said('outside')[0]


def test_a_config_of_1x_stays(migrated):
    assert migrated.after(NEW) == NEW.lstrip()
    assert not migrated.result.findings


def test_the_rate_of_yolox(check):
    check(
        """
        train_cfg = dict(by_epoch=True, max_epochs=300)
        lr_config = dict(
            policy='YOLOX', warmup='exp', by_epoch=False, warmup_ratio=1,
            warmup_by_epoch=True, warmup_iters=5, num_last_epochs=15,
            min_lr_ratio=0.05)
        """,
        """
        train_cfg = dict(by_epoch=True, max_epochs=300)
        param_scheduler = [
            dict(
                type='mmdet.QuadraticWarmupLR',
                begin=0,
                end=5,
                by_epoch=True,
                convert_to_iter_based=True),
            dict(
                type='CosineAnnealingLR',
                T_max=280,
                eta_min_ratio=0.05,
                begin=5,
                end=285,
                by_epoch=True,
                convert_to_iter_based=True)]
        """,
    )


def test_stages_of_mmflow(check):
    check(
        """
        train_cfg = dict(by_epoch=False, max_iters=40)
        lr_config = dict(
            policy='MultiStage', by_epoch=False, gammas=[0.5, 0.5],
            milestone_lrs=[3e-5, 2e-5], milestone_iters=[0, 20],
            steps=[[10], [30]])
        """,
        """
        train_cfg = dict(by_epoch=False, max_iters=40)
        param_scheduler = [
            dict(
                type='mmflow.MultiStageLR',
                by_epoch=False,
                milestone_params=[3e-5, 2e-5],
                milestone_iters=[0, 20],
                steps=[[10], [30]],
                gammas=[0.5, 0.5])]
        """,
    )


@pytest.mark.parametrize(
    ('policy', 'said'),
    [
        ("policy='CosineAnnealing', by_epoch=False, min_lr=0", 'min_lr=1e-5'),
        ("policy='poly', by_epoch=False, power=0.9", 'min_lr=1e-5'),
        (
            "policy='step', step=[3], warmup='linear', warmup_iters=2, "
            'warmup_by_epoch=True',
            'step=[5]',
        ),
    ],
)
def test_a_child_of_what_goes_by_iterations(migrated, policy, said):
    """Whether the base was migrated before or not."""
    old = f"""
    runner = dict(type='EpochBasedRunner', max_epochs=9)
    lr_config = dict({policy})
    """
    new = migrated.after(old)
    child = f"_base_ = './base.py'\nlr_config = dict({said})\n"
    after = migrated.after(child, base=old)
    assert 'convert_to_iter_based=True' in after
    assert migrated.after(child, base=new) == after


def test_a_cycle_is_no_cosine_for_a_child(migrated):
    base = migrated.after(
        "runner = dict(type='EpochBasedRunner', max_epochs=10)\n"
        "lr_config = dict(policy='cyclic')\n"
    )
    child = "_base_ = './base.py'\nlr_config = dict(min_lr=1e-5)\n"
    assert migrated.after(child, base=base) == child
    assert 'inherit' in migrated.said('outside')[0]


def test_what_stays_with_another_is_marked_too(migrated):
    after = migrated.after(
        "runner = dict(type='IterBasedRunner', max_iters=9)\n"
        "lr_config = dict(policy='OneCycle', max_lr=0.1)\n"
        "momentum_config = dict(policy='OneCycle')\n"
    )
    assert 'param_scheduler = ' not in after
    said = ' '.join(migrated.said('todo'))
    assert 'mmamp.CyclicMomentum' in said
    assert 'lr_config is left with momentum_config' in said
