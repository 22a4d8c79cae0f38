"""Optimizers of a config before and after, compared."""

import subprocess
from pathlib import Path

import pytest

from mmamp.migration.config import migrate_configs
from mmamp.migration.config.rules import RULES
from mmamp.migration.config.values import listing, literal
from mmamp.migration.project import Project
from mmamp.migration.rule import Rule
from mmamp.migration.verification import Verifier, verify
from mmamp.migration.verification.comparison import Row, sample_points
from mmamp.migration.verification.old_schedule import (
    old_momentum,
    old_schedule,
)
from mmamp.migration.verification.settings import EPOCH, Run

TOOL = Path(__file__).parents[2] / 'tools/migrate.py'
MODEL = """\
model = dict(
    type='BasiccGAN',
    generator=dict(type='BigGANGenerator'),
    discriminator=dict(type='BigGANDiscriminator'))
"""
BIGGAN = """\
_base_ = ['../_base_/model.py']
train_cfg = dict(
    disc_steps=8, gen_steps=1, batch_accumulation_steps=8, use_ema=True)
optimizer = dict(
    generator=dict(type='Adam', lr=1e-4, betas=(0.0, 0.999), eps=1e-6),
    discriminator=dict(type='Adam', lr=4e-4, betas=(0.0, 0.999), eps=1e-6))
lr_config = None
runner = dict(
    type='DynamicIterBasedRunner',
    is_dynamic_ddp=False,
    pass_training_status=True,
    fp16_loss_scaler=dict(init_scale=512))
total_iters = 1500000
"""
SWIN = """\
model = dict(type='ImageClassifier')
optimizer = dict(
    type='AdamW',
    lr=1e-3,
    weight_decay=0.05,
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            '.absolute_pos_embed': dict(decay_mult=0.0),
            'backbone.patch_embed': dict(lr_mult=0.1)}))
optimizer_config = dict(
    type='GradientCumulativeOptimizerHook',
    cumulative_iters=4,
    grad_clip=dict(max_norm=5.0))
fp16 = dict(loss_scale=512.0)
runner = dict(type='EpochBasedRunner', max_epochs=10)
"""


@pytest.fixture
def config(tmp_path):
    """``config('sub/a.py', text)``: a file beside ``_base_/model.py``."""

    def make(text, name='biggan/biggan.py'):
        for path, content in ((name, text), ('_base_/model.py', MODEL)):
            file = tmp_path / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(content)
        return tmp_path / name

    return make


def settings(found):
    """The rows by network and setting."""
    assert found.problem == ''
    return {(x.network, x.setting): x for x in found.rows}


def pair(row):
    return row.before, row.after


def test_a_gan(config):
    path = config(BIGGAN)

    found = verify(path)

    rows = settings(found)
    assert found.is_good
    assert found.notes == []
    for name, lr in (('generator', '0.0001'), ('discriminator', '0.0004')):
        assert pair(rows[name, 'optimizer']) == ('Adam', 'Adam')
        assert pair(rows[name, 'learning rate']) == (lr, lr)
        assert pair(rows[name, 'betas']) == ('0, 0.999', '0, 0.999')
        assert pair(rows[name, 'accumulation']) == ('8', '8')
        updates = '187500 in the run'
        assert pair(rows[name, 'updates']) == (updates, updates)
        assert pair(rows[name, 'gradient clipping']) == ('none', 'none')
        scale = 'dynamic from 512'
        assert pair(rows[name, 'loss scale']) == (scale, scale)
        assert pair(rows[name, 'schedule']) == (f'constant {lr}',) * 2
    assert path.read_text() == BIGGAN


def test_one_optimizer_with_parameters_of_their_own(config):
    found = verify(config(SWIN, 'swin.py'))

    rows = settings(found)
    assert found.is_good
    special = {k: pair(x) for (_, k), x in rows.items() if '.' in k}
    whole = 'lr 0.001, weight decay 0'
    assert special == {
        'norm.weight': (whole, whole),
        'norm.bias': (whole, whole),
        'inner.absolute_pos_embed.weight': (whole, whole),
        'inner.absolute_pos_embed.bias': (whole, whole),
        **dict.fromkeys(
            (f'backbone.patch_embed.{x}' for x in ('weight', 'bias')),
            ('lr 0.0001, weight decay 0.05',) * 2,
        ),
    }
    assert pair(rows['', 'accumulation']) == ('4', '4')
    assert rows['', 'updates'].after == '1/4 an iteration, 10 epochs'
    clip = 'norm_type 2, max_norm 5'
    assert pair(rows['', 'gradient clipping']) == (clip, clip)
    assert pair(rows['', 'loss scale']) == ('static 512', 'static 512')


PLANTED = {
    ('lr',): (0.1, 'learning rate', '0.0001', '0.1'),
    ('betas',): ((0.5, 0.9), 'betas', '0, 0.999', '0.5, 0.9'),
    ('type',): ('RMSprop', 'optimizer', 'Adam', 'RMSprop'),
    ('eps',): (1e-8, 'eps', '1e-06', '1e-08'),
}


@pytest.mark.parametrize('keys', PLANTED)
def test_a_wrong_optimizer(config, monkeypatch, keys):
    value, setting, before, after = PLANTED[keys]

    def change(entry):
        inner = entry['optimizer'].with_items(**{keys[0]: literal(value)})
        if value == 'RMSprop':
            inner = inner.without('betas')
        return entry.with_items(optimizer=inner)

    found = planted(config, monkeypatch, change)

    expected = Row('generator', setting, before, after, True)
    assert expected in found.rows
    assert not found.is_good
    assert not any(x.differs for x in found.rows if x.network[0] == 'd')


@pytest.mark.parametrize(
    ('items', 'setting'),
    [
        (dict(accumulative_counts=4), 'accumulation'),
        (dict(accumulative_counts=4), 'updates'),
        (dict(loss_scale='dynamic'), 'loss scale'),
        (dict(loss_scale=512.0), 'loss scale'),
        (dict(type='OptimWrapper'), 'loss scale'),
        (dict(clip_grad=dict(max_norm=1)), 'gradient clipping'),
    ],
)
def test_a_wrong_wrapper(config, monkeypatch, items, setting):
    def change(entry):
        if 'type' in items:
            entry = entry.without('loss_scale')
        new = {key: literal(value) for key, value in items.items()}
        return entry.with_items(**new)

    found = planted(config, monkeypatch, change, 'discriminator')

    wrong = {(x.network, x.setting) for x in found.rows if x.differs}
    assert ('discriminator', setting) in wrong


def plant(monkeypatch, apply):
    """Have a last rule that is wrong."""
    wrong = Rule('planted', 'what is right', apply)
    monkeypatch.setattr('mmamp.migration.config.files.RULES', (*RULES, wrong))


def planted(config, monkeypatch, change, network='generator'):
    """Verify with a last rule that is wrong."""

    def rule(context):
        if 'optim_wrapper' not in context:
            return
        wrappers = context['optim_wrapper']
        entry = change(wrappers[network])
        context.replace(
            'optim_wrapper', wrappers.with_items(**{network: entry})
        )

    plant(monkeypatch, rule)
    return verify(config(BIGGAN))


def test_a_wrong_alternation(config, monkeypatch):
    def rule(context):
        steps = dict(discriminator_steps=literal(2))
        context.replace('model', context['model'].with_items(**steps))

    plant(monkeypatch, rule)
    rows = settings(verify(config(BIGGAN)))

    assert rows['generator', 'updates'].after == '93750 in the run'
    assert rows['generator', 'updates'].differs
    assert not rows['discriminator', 'updates'].differs


def test_a_network_that_is_lost(config, monkeypatch):
    def rule(context):
        if 'optim_wrapper' in context:
            left = context['optim_wrapper'].without('generator')
            context.replace('optim_wrapper', left)

    plant(monkeypatch, rule)
    found = verify(config(BIGGAN))

    assert Row('generator', 'optimizer', 'Adam', 'none', True) in found.rows


def test_one_optimizer_in_place_of_two(config, monkeypatch):
    def rule(context):
        if 'optim_wrapper' in context:
            one = context['optim_wrapper']['generator']
            context.replace('optim_wrapper', one)

    plant(monkeypatch, rule)
    found = verify(config(BIGGAN))

    lost = {(x.network, x.before, x.after) for x in found.rows if x.differs}
    assert lost == {
        ('generator', 'Adam', 'none'),
        ('discriminator', 'Adam', 'none'),
        ('', 'none', 'Adam'),
    }


def test_one_network(config):
    """MMEditing has a dict of one, MMEngine an optimizer of the model."""
    text = """\
model = dict(type='BasicRestorer', generator=dict(type='EDSR'))
optimizers = dict(generator=dict(type='Adam', lr=1e-4))
lr_config = dict(policy='Step', by_epoch=False, step=[600], gamma=0.5)
total_iters = 1000
"""
    rows = settings(verify(config(text)))

    assert {x for x, _ in rows} == {'generator'}
    assert rows['generator', 'updates'].after == '1000 in the run'
    schedule = '0.0001, 0.0001, 0.0001, 5e-05, 5e-05'
    assert rows['generator', 'schedule'].before == f'Step: {schedule}'
    assert rows['generator', 'schedule'].after == f'MultiStepLR: {schedule}'
    assert not any(x.differs for x in rows.values())


@pytest.mark.parametrize(
    'change',
    [dict(milestones=[700]), dict(gamma=0.4), dict(begin=100)],
)
def test_a_wrong_schedule(config, monkeypatch, change):
    def rule(context):
        if 'param_scheduler' in context:
            new = {key: literal(value) for key, value in change.items()}
            (first,) = context['param_scheduler'].elements
            context.replace(
                'param_scheduler', listing(first.with_items(**new))
            )

    plant(monkeypatch, rule)
    step = "dict(policy='Step', step=[600], gamma=0.5)"
    text = BIGGAN.replace('lr_config = None', f'lr_config = {step}')
    rows = settings(verify(config(text.replace('1500000', '1000'))))

    assert rows['generator', 'schedule'].differs
    assert rows['discriminator', 'schedule'].differs


def test_a_policy_that_nobody_knows_is_not_none(config):
    policy = "lr_config = dict(policy='Mine')"
    rows = settings(verify(config(BIGGAN.replace('lr_config = None', policy))))

    row = rows['generator', 'schedule']
    assert pair(row) == ('Mine (not compared)', 'constant')
    assert row.differs


def test_results_that_cannot_be_compared(config, monkeypatch):
    missing = verify(config("_base_ = '../no.py'\n"))
    assert 'the config does not load: FileNotFoundError' in missing.problem

    fragment = verify(config('log_level = 1\n'))
    assert fragment.is_good
    assert fragment.notes == ['neither has an optimizer to compare']

    odd = BIGGAN.replace(
        "generator=dict(type='Adam'", "generator=dict(type='Odd'"
    )
    odd = verify(config(odd))
    assert 'do not build: ValueError' in odd.problem
    assert "no optimizer 'Odd'" in odd.problem
    assert not odd.is_good

    monkeypatch.setattr('mmamp.migration.config.files.RULES', ())
    assert 'no optim_wrapper' in verify(config(BIGGAN)).problem


def test_custom_imports_that_are_not_there(config):
    text = "custom_imports = dict(imports=['no_such_project.models'])\n"

    found = verify(config(BIGGAN + text))

    assert found.is_good
    assert len(found.notes) == 1
    assert "'no_such_project.models' is left out" in found.notes[0]


def test_custom_imports_that_are_there(config, tmp_path, monkeypatch):
    (tmp_path / 'odd_optimizer.py').write_text(
        'import torch\n'
        'from mmengine.registry import OPTIMIZERS\n'
        '@OPTIMIZERS.register_module()\n'
        'class OddAdam(torch.optim.Adam): pass\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = BIGGAN.replace("type='Adam'", "type='OddAdam'")

    found = verify(
        config(text + "custom_imports = dict(imports=['odd_optimizer'])\n")
    )

    assert found.is_good
    rows = settings(found)
    assert pair(rows['generator', 'optimizer']) == ('OddAdam', 'OddAdam')


SCHEDULES = {
    'fixed': (dict(policy='Fixed'), {0: 1, 999: 1}),
    'step': (
        dict(policy='step', step=[300, 600], gamma=0.5),
        {299: 1, 300: 0.5, 599: 0.5, 600: 0.25},
    ),
    'every so often': (dict(policy='Step', step=400), {399: 1, 800: 0.01}),
    'cosine': (
        dict(policy='CosineAnnealing', min_lr=0.1),
        {0: 1, 500: 0.55, 1000: 0.1},
    ),
    'cosine ratio': (
        dict(policy='CosineAnnealing', min_lr_ratio=0.5),
        {1000: 0.5},
    ),
    'restart': (
        dict(
            policy='CosineRestart',
            periods=[500, 500],
            restart_weights=[1, 0.5],
            min_lr=0,
        ),
        {0: 1, 250: 0.5, 500: 0.5, 750: 0.25},
    ),
    'linear': (
        dict(policy='Linear', target_lr=0, start=500, interval=100),
        {500: 1, 599: 1, 600: 0.8, 999: 0.2},
    ),
    'poly': (dict(policy='poly', power=2, min_lr=0), {0: 1, 500: 0.25}),
    'exp': (dict(policy='exp', gamma=0.5), {0: 1, 2: 0.25}),
    'inv': (dict(policy='inv', gamma=1, power=2), {0: 1, 1: 0.25, 2: 1 / 9}),
    'straight': (
        dict(policy='LinearAnnealing', min_lr_ratio=0.5),
        {0: 1, 500: 0.75, 1000: 0.5},
    ),
    'flat cosine': (
        dict(policy='FlatCosineAnnealing', min_lr=0, start_percent=0.5),
        {0: 1, 500: 1, 750: 0.5},
    ),
    'cool-down': (
        dict(
            policy='CosineAnnealingCooldown',
            min_lr=0.2,
            cool_down_time=500,
            cool_down_ratio=0.1,
        ),
        {0: 1, 250: 0.6, 500: 0.2, 501: 0.02},
    ),
    'restart at half the height': (
        dict(
            policy='CosineRestart',
            periods=[500, 500],
            restart_weights=[1, 0.5],
            min_lr=0.2,
        ),
        {0: 1, 500: 0.6, 750: 0.4},
    ),
    'a cycle': (
        dict(policy='cyclic'),
        {0: 1, 200: 5.5, 400: 10, 700: 5.00005, 1000: 1},
    ),
    'by a hook': (
        dict(type='CyclicLrUpdaterHook', target_ratio=(3, 0.5)),
        {200: 2, 400: 3, 700: 1.75},
    ),
    'lower cycles': (
        dict(
            policy='cyclic',
            cyclic_times=2,
            target_ratio=(9, 0),
            step_ratio_up=0.5,
            gamma=0.5,
            anneal_strategy='linear',
        ),
        {0: 1, 125: 5, 250: 9, 375: 4.5, 500: 1, 625: 3, 750: 5, 875: 2.5},
    ),
    'one cycle': (
        dict(policy='OneCycle', max_lr=5, pct_start=0.5),
        {0: 0.2, 499: 5, 999: 0.2 / 1e4},
    ),
    'linear warm-up': (
        dict(
            policy='step',
            step=[800],
            warmup='linear',
            warmup_iters=100,
            warmup_ratio=0.2,
        ),
        {0: 0.2, 50: 0.6, 100: 1, 800: 0.1},
    ),
    'constant warm-up': (
        dict(policy='Fixed', warmup='constant', warmup_iters=10),
        {0: 0.1, 9: 0.1, 10: 1},
    ),
    'exponential warm-up': (
        dict(policy='Fixed', warmup='exp', warmup_iters=10, warmup_ratio=0.01),
        {0: 0.01, 5: 0.1, 10: 1},
    ),
}


@pytest.mark.parametrize('case', SCHEDULES)
def test_old_schedules(case):
    config, expected = SCHEDULES[case]

    schedule = old_schedule(config, 1.0, Run(length=1000))

    assert {i: schedule.at(i) for i in expected} == pytest.approx(expected)


def test_old_schedule_by_epoch():
    run = Run(length=10, by_epoch=True)
    config = dict(policy='step', step=[8], warmup='linear', warmup_iters=50)

    schedule = old_schedule(config, 1.0, run)

    assert schedule.at(25) == pytest.approx(0.55)
    assert schedule.at(8 * EPOCH - 1) == 1
    assert schedule.at(8 * EPOCH) == pytest.approx(0.1)
    assert 8 * EPOCH in sample_points([schedule], run.iterations)


def test_a_cycle_of_a_run_of_epochs_goes_by_iterations():
    run = Run(length=10, by_epoch=True)
    schedule = old_schedule(dict(policy='cyclic'), 1.0, run)
    assert schedule.at(2 * EPOCH) == pytest.approx(5.5)
    assert schedule.at(4 * EPOCH) == pytest.approx(10)


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        (None, {0: 0.9, 999: 0.9}),
        (dict(policy='step', step=[500]), {499: 0.9, 500: 0.45}),
        (
            dict(policy='CosineAnnealing', min_momentum=0.5),
            {0: 0.9, 500: 0.7},
        ),
        (
            dict(policy='LinearAnnealing', min_momentum_ratio=0.5),
            {500: 0.675},
        ),
        (
            dict(policy='cyclic', target_ratio=(0.5, 1)),
            {0: 0.9, 400: 0.45, 700: 0.675},
        ),
        (dict(policy='cyclic'), {400: 0.9 * 0.85 / 0.95}),
    ],
)
def test_old_momenta(config, expected):
    momentum = old_momentum(config, 0.9, Run(length=1000))
    assert {i: momentum.at(i) for i in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    'config',
    [
        dict(policy='OneCycle'),
        dict(policy='step', step=[5], warmup='linear', warmup_iters=2),
    ],
)
def test_momenta_that_are_not_followed(config):
    assert old_momentum(config, 0.9, Run(length=1000)).at is None


HALF = """\
model = dict(type='Net')
optimizer = dict(type='SGD', lr=0.1)
runner = dict(type='EpochBasedRunner', max_epochs=10)
"""
CYCLE = """\
model = dict(type='Net')
optimizer = dict(type='AdamW', lr=0.001, betas=(0.95, 0.99))
lr_config = dict(policy='cyclic', target_ratio=(10, 1e-4), step_ratio_up=0.4)
momentum_config = dict(
    policy='cyclic', target_ratio=(0.85 / 0.95, 1), step_ratio_up=0.4)
runner = dict(type='EpochBasedRunner', max_epochs=20)
"""


def test_a_cycle_of_both(config):
    found = verify(config(CYCLE))

    rows = settings(found)
    assert found.is_good
    rates = '0.001, 0.00722208, 0.00933013, 0.00370597, 1.00171e-07'
    name = 'CosineAnnealingLR, CosineAnnealingLR'
    assert rows['', 'schedule'].before == f'cyclic: {rates}'
    assert rows['', 'schedule'].after == f'{name}: {rates}'
    row = rows['', 'schedule of the momentum']
    momenta = '0.95, 0.880866, 0.856699, 0.912941, 0.95'
    assert row.before == f'cyclic: {momenta}'
    assert row.after == f'{name.replace("LR", "Momentum")}: {momenta}'


@pytest.mark.parametrize('lost', ['LR', 'Momentum'])
@pytest.mark.parametrize('change', [dict(eta_min_ratio=0.5), None])
def test_a_wrong_cycle(config, monkeypatch, lost, change):
    def rule(context):
        both = context['param_scheduler'].elements
        new = {k: literal(v) for k, v in (change or {}).items()}
        context.replace(
            'param_scheduler',
            listing(
                *(
                    x.with_items(**new) if x.get('type').endswith(lost) else x
                    for x in both
                    if change or not x.get('type').endswith(lost)
                )
            ),
        )

    plant(monkeypatch, rule)
    rows = settings(verify(config(CYCLE)))

    wrong = [x for (_, x), row in rows.items() if row.differs]
    rate = lost == 'LR'
    assert wrong == ['schedule' if rate else 'schedule of the momentum']


def test_a_schedule_of_a_project_that_is_not_here(config):
    text = HALF + (
        "lr_config = dict(policy='MultiStage', by_epoch=False, gammas=[0.5],"
        ' milestone_lrs=[3e-5], milestone_iters=[0], steps=[[10]])\n'
    )
    found = verify(config(text))
    assert found.is_good
    row = settings(found)['', 'schedule']
    assert pair(row) == (
        'MultiStage (not compared)',
        'mmflow.MultiStageLR (not compared)',
    )


EARLY = """\
model = dict(type='Net')
optimizer = dict(type='SGD', lr=0.1)
lr_config = dict(
    policy='poly', power=0.9, {units}, warmup='linear', warmup_iters={steps},
    warmup_ratio=0.001)
runner = dict(type='EpochBasedRunner', max_epochs=10)
"""
UNITS = {
    'by_epoch=True': 50,
    'by_epoch=False, warmup_by_epoch=True': 2,
    'by_epoch=False': 50,
}


@pytest.mark.parametrize('units', UNITS)
def test_a_step_early_is_not_the_same(config, monkeypatch, units):
    text = EARLY.format(units=units, steps=UNITS[units])
    exact = verify(config(text))
    assert exact.is_good
    assert (
        exact.rows[-1].before.partition(': ')[2]
        == (exact.rows[-1].after.partition(': ')[2])
    )
    path = config(text)
    by_hand = Project(ends_by_hand=True)
    early = Verifier(project=by_hand).verify(path)
    assert early.is_good

    results = migrate_configs([path.resolve()], by_hand)
    found = Verifier(results).verify(path)
    assert settings(found)['', 'schedule'].differs


def test_unknown_schedules_are_told():
    assert old_schedule(dict(policy='Mine'), 1.0, Run()).at is None
    assert old_schedule(dict(policy='poly'), 1.0, Run()).at is None


def test_the_command(config, environment, python):
    path = config(BIGGAN)
    wrong = config(BIGGAN.replace('8, gen', '12, gen'), 'biggan/odd.py')

    def run(*args):
        return subprocess.run(
            [python, str(TOOL), 'config', *args, '--verify'],
            env=environment(),
            capture_output=True,
            text=True,
        )

    done = run(str(path), '--in-place')
    assert done.returncode == 0
    assert 'optim_wrapper' in path.read_text()
    line = (
        f'{path}: generator: updates: 187500 in the run -> 187500 in the run'
    )
    assert line in done.stdout.splitlines()
    assert 'differs' not in done.stdout

    path.write_text(BIGGAN)
    done = run(str(path.parent))
    assert done.returncode == 1
    assert str(wrong) in done.stdout
    assert f'{path}: generator' not in done.stdout


def test_one_that_is_converted_already(config):
    found = verify(config("optim_wrapper = dict(optimizer=dict(type='SGD'))"))
    assert found.is_good
    assert 'converted already' in found.notes[0]


def test_a_schedule_is_run_once_by_one_verifier(config):
    step = "dict(policy='Step', step=[600], gamma=0.5)"
    text = BIGGAN.replace('lr_config = None', f'lr_config = {step}')
    text = text.replace('1500000', '1000')
    verifier = Verifier()
    first = verifier.verify(config(text))
    seen = dict(verifier.rates)

    second = verifier.verify(config(text))

    assert seen
    assert all(verifier.rates[key] is seen[key] for key in verifier.rates)
    assert second.rows == first.rows
    assert not Verifier().rates


@pytest.mark.parametrize(
    ('line', 'scale', 'count'),
    [
        (
            "optimizer_config = dict(type='DistOptimizerHook', "
            'update_interval=2, use_fp16=True)\nfp16 = None',
            'dynamic from 65536',
            '2',
        ),
        (
            "optimizer_config = dict(type='Fp16OptimizerHook')\nfp16 = dict()",
            'static 512',
            '1',
        ),
        (
            "optimizer_config = dict(type='Fp16OptimizerHook', "
            "loss_scale='dynamic')\nfp16 = dict()",
            'dynamic from 65536',
            '1',
        ),
        (
            "runner = dict(type='EpochBasedRunnerAmp', max_epochs=10)",
            'dynamic from 65536',
            '1',
        ),
    ],
)
def test_precision_that_is_lost(config, monkeypatch, line, scale, count):
    path = config(f'{HALF}{line}\n')
    found = verify(path)
    rows = {x.setting: x for x in found.rows}
    assert rows['loss scale'].before == scale
    assert rows['accumulation'].before == count

    def lose(context):
        wrapper = context['optim_wrapper'].without('loss_scale')
        context.replace(
            'optim_wrapper', wrapper.with_items(type=literal('OptimWrapper'))
        )

    monkeypatch.setattr(
        'mmamp.migration.config.files.RULES',
        (*RULES, Rule('lose', 'precision', lose)),
    )
    found = verify(path)
    assert not found.is_good
    rows = {x.setting: x for x in found.rows}
    assert rows['loss scale'].differs
