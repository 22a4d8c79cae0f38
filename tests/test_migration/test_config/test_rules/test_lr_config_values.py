"""Each iteration's learning rate is that of 0.x.

The formulas of MMCV are written out here, from their definition.
"""

import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

import mmamp  # noqa: F401
from mmamp.migration.config import migrate_config
from mmamp.migration.project import Project

BASE = 0.2


def _cos(start, end, part):
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _restarts(i, n, periods, weights, low):
    first = 0
    for period, weight in zip(periods, weights, strict=True):
        if i < first + period:
            part = (i - first) / period
            return low + weight * (_cos(BASE, low, part) - low)
        first += period
    raise AssertionError


def _cyclic(i, n):
    top = int(0.4 * n)
    if i < top:
        return _cos(BASE, BASE * 10, i / top)
    return _cos(BASE * 10, BASE * 1e-4, (i - top) / (n - top))


def _one_cycle(i, n):
    top, high = 0.3 * n - 1, 0.5
    if i <= top:
        return _cos(high / 25, high, i / top)
    return _cos(high, high / 25 / 1e4, (i - top) / (n - 1 - top))


def _siamese(i):
    if i < 5:
        return 0.2 * 5 ** (i / 5)
    return 0.1 ** ((i - 5) / 14)


def _linear(i, n, target, start, interval):
    stairs = max(0, i - start) // interval
    return BASE + (target - BASE) * stairs / ((n - start) // interval)


POLICIES = {
    "policy='Fixed'": lambda i, n: BASE,
    "policy='step', step=[3, 7, 7]": lambda i, n: (
        BASE * 0.1 ** sum(i >= x for x in (3, 7, 7))
    ),
    "policy='Step', step=4, gamma=0.5": lambda i, n: BASE * 0.5 ** (i // 4),
    "policy='exp', gamma=0.9": lambda i, n: BASE * 0.9**i,
    "policy='inv', gamma=0.2, power=0.5": lambda i, n: (
        BASE * (1 + 0.2 * i) ** -0.5
    ),
    "policy='poly', power=0.9, min_lr=0.01": lambda i, n: (
        0.01 + (BASE - 0.01) * (1 - i / n) ** 0.9
    ),
    "policy='CosineAnnealing', min_lr=0.01": lambda i, n: _cos(
        BASE, 0.01, i / n
    ),
    "policy='LinearAnnealing', min_lr_ratio=0": lambda i, n: (
        BASE * (1 - i / n)
    ),
    "policy='LinearAnnealing', min_lr=0.05": lambda i, n: (
        BASE + (0.05 - BASE) * i / n
    ),
    "policy='SiameseRPN'": lambda i, n: BASE * _siamese(i),
    "policy='SiameseRPN', lr_configs=["
    "dict(type='log', start_lr_factor=0.5, end_lr_factor=0.1, end_epoch=8), "
    "dict(type='step', start_lr_factor=0.1, end_lr_factor=0.4, end_epoch=20)"
    ']': lambda i, n: (
        BASE * (0.5 * 0.2 ** (i / 7) if i < 8 else 0.1 * 4 ** ((i - 8) / 12))
    ),
    "policy='CosineAnnealing', min_lr_ratio=0.1": lambda i, n: _cos(
        BASE, BASE * 0.1, i / n
    ),
    "policy='FlatCosineAnnealing', min_lr=0, start_percent=0.5": lambda i, n: (
        _cos(BASE, 0, max(0, i - round(n / 2)) / (n - round(n / 2)))
    ),
    "type='CosineRestartLrUpdaterHook', periods=[8, 12], "
    'restart_weights=[1, 1], min_lr=0.01': lambda i, n: _restarts(
        i, n, (8, 12), (1, 1), 0.01
    ),
    "policy='CosineRestart', periods=[8, 12], restart_weights=[1, 0.5], "
    'min_lr_ratio=0': lambda i, n: _restarts(i, n, (8, 12), (1, 0.5), 0),
    "policy='Linear', start=6": lambda i, n: _linear(i, n, 0, 6, 1),
    "policy='Linear', target_lr=0.1, start=4, interval=3": lambda i, n: (
        _linear(i, n, 0.1, 4, 3)
    ),
    "policy='Linear', start=20": lambda i, n: BASE,
    "policy='CosineAnnealingCooldown', min_lr=0.01, cool_down_time=3, "
    'cool_down_ratio=0.1': lambda i, n: (
        0.001 if i > n - 3 else _cos(BASE, 0.01, i / (n - 3))
    ),
}
OF_ITERATIONS = {
    "policy='cyclic'": _cyclic,
    "policy='OneCycle', max_lr=0.5": _one_cycle,
}
WARMUPS = {
    '': lambda i: 1,
    "warmup='linear', warmup_iters=5, warmup_ratio=0.001": lambda i: (
        0.001 + 0.999 * min(i, 5) / 5
    ),
    "warmup='constant', warmup_iters=4": lambda i: 0.1 if i < 4 else 1,
    "warmup='exp', warmup_iters=6, warmup_ratio=0.2": lambda i: (
        0.2 ** (1 - min(i, 6) / 6)
    ),
}
TOTAL = 20
EPOCH = 3


def _rates(schedulers, by_epoch, base=BASE):
    """What MMEngine's runner has the optimizer use, iteration for iteration.

    Epochs have three iterations.
    """
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = OptimWrapper(torch.optim.SGD([parameter], lr=base))
    built = []
    iters = TOTAL * EPOCH if by_epoch else TOTAL
    for config in schedulers or []:
        counts_epochs = config.get('by_epoch', True)
        config.setdefault('end', TOTAL if counts_epochs else iters)
        built.append(
            PARAM_SCHEDULERS.build(
                config,
                default_args=dict(optimizer=optimizer, epoch_length=EPOCH),
            )
        )
    rates = []
    for i in range(iters):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in built:
            if not scheduler.by_epoch or (i + 1) % EPOCH == 0:
                scheduler.step()
    return rates


@pytest.mark.parametrize(
    ('config', 'formula'),
    [
        ("policy='LinearAnnealing', min_lr=0", lambda i: 1 - i / (TOTAL - 1)),
        ("policy='poly', power=0.9", lambda i: (1 - i / (TOTAL - 1)) ** 0.9),
        (
            "policy='Fixed', warmup='linear', warmup_iters=5",
            lambda i: 0.1 + 0.9 * min(i, 4) / 4,
        ),
        (
            "policy='Fixed', warmup='constant', warmup_iters=4",
            lambda i: 0.1 if i < 3 else 1,
        ),
    ],
)
def test_the_habit_of_configs_written_by_hand(tmp_path, config, formula):
    path = tmp_path / 'config.py'
    path.write_text(f'{RUN}\nlr_config = dict({config})\n')
    after = migrate_config(path, Project(ends_by_hand=True)).after
    namespace = {}
    exec(after, namespace)
    wanted = [BASE * formula(i) for i in range(TOTAL)]
    rates = _rates(namespace['param_scheduler'], False)
    assert rates == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ('up', 'ratios'), [(0.4, (10, 1e-4)), (0.35, (5, 0.01)), (0.25, (2, 0.5))]
)
@pytest.mark.parametrize('parameter', ['lr', 'momentum'])
def test_a_cycle_of_a_run_of_epochs(migrated, up, ratios, parameter):
    after = migrated.after(
        f"{EPOCHS}\n{parameter}_config = dict(policy='cyclic', cyclic_times=1,"
        f' target_ratio={ratios}, step_ratio_up={up})\n'
    )
    assert not migrated.said('todo')
    namespace = {}
    exec(after, namespace)
    first, second = namespace['param_scheduler']
    top = round(up * TOTAL, 9)
    assert first['end'] == second['begin'] == first['T_max'] == top
    assert second['end'] == TOTAL
    name = {'lr': 'LR', 'momentum': 'Momentum'}[parameter]
    assert {first['type'], second['type']} == {f'CosineAnnealing{name}'}
    if parameter == 'lr':
        n = TOTAL * EPOCH
        rise = int(up * n)
        wanted = [
            _cos(BASE, BASE * ratios[0], i / rise)
            if i < rise
            else _cos(
                BASE * ratios[0], BASE * ratios[1], (i - rise) / (n - rise)
            )
            for i in range(n)
        ]
        rates = _rates(namespace['param_scheduler'], True)
        # The first ends in the step before the top, as others have it.
        step = BASE * ratios[0] * (1 - math.cos(math.pi / min(rise, n - rise)))
        assert rates == pytest.approx(wanted, abs=step)


def _schedulers(migrated, config, run):
    wrapper = f'optim_wrapper = dict(optimizer=dict(lr={BASE}))'
    text = migrated.after(f'{run}\n{wrapper}\nlr_config = dict({config})\n')
    assert not migrated.said('todo')
    namespace = {}
    exec(text, namespace)
    assert 'lr_config' not in namespace
    return namespace.get('param_scheduler')


RUN = f'train_cfg = dict(by_epoch=False, max_iters={TOTAL})'
EPOCHS = f'train_cfg = dict(by_epoch=True, max_epochs={TOTAL})'


@pytest.mark.parametrize('policy', {**POLICIES, **OF_ITERATIONS})
def test_of_iterations(migrated, policy):
    schedulers = _schedulers(migrated, policy, RUN)
    formula = {**POLICIES, **OF_ITERATIONS}[policy]
    wanted = [formula(i, TOTAL) for i in range(TOTAL)]
    assert _rates(schedulers, False) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize('policy', POLICIES)
def test_of_epochs(migrated, policy):
    schedulers = _schedulers(migrated, policy, EPOCHS)
    wanted = [
        POLICIES[policy](i // EPOCH, TOTAL) for i in range(TOTAL * EPOCH)
    ]
    assert _rates(schedulers, True) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize('warmup', WARMUPS)
@pytest.mark.parametrize('run', [RUN, EPOCHS])
@pytest.mark.parametrize(
    'policy',
    [x for x in POLICIES if 'min_lr' not in x and 'Restart' not in x],
)
def test_with_a_warm_up(migrated, policy, run, warmup):
    """It goes by iterations, whatever the policy counts."""
    schedulers = _schedulers(migrated, f'{policy}, {warmup}', run)
    by_epoch = run is EPOCHS
    iters = TOTAL * EPOCH if by_epoch else TOTAL
    wanted = [
        WARMUPS[warmup](i)
        * POLICIES[policy](i // EPOCH if by_epoch else i, TOTAL)
        for i in range(iters)
    ]
    assert _rates(schedulers, by_epoch) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize('run', [RUN, EPOCHS])
@pytest.mark.parametrize('units', ['True', 'False'])
def test_a_poly_with_a_minimum_and_a_warm_up(migrated, run, units):
    by_epoch = run is EPOCHS
    if not by_epoch and units == 'True':
        pytest.skip('a run of iterations has no epochs')
    policy = (
        f"policy='poly', power=0.9, min_lr=0.02, by_epoch={units}, "
        "warmup='linear', warmup_iters=5, warmup_ratio=0.1"
    )
    schedulers = _schedulers(migrated, policy, run)
    iters = TOTAL * (EPOCH if by_epoch else 1)
    step = EPOCH if units == 'True' else 1
    wanted = [
        (0.1 + 0.9 * min(i, 5) / 5)
        * (0.02 + (BASE - 0.02) * (1 - i // step * step / iters) ** 0.9)
        for i in range(iters)
    ]
    assert _rates(schedulers, by_epoch) == pytest.approx(wanted, abs=1e-9)


OF_EPOCHS = {
    'linear': lambda part: 0.2 + 0.8 * min(part, 1),
    'constant': lambda part: 0.2 if part < 1 else 1,
    'exp': lambda part: 0.2 ** (1 - min(part, 1)),
}


@pytest.mark.parametrize('kind', OF_EPOCHS)
@pytest.mark.parametrize('run', [RUN, EPOCHS])
@pytest.mark.parametrize('epochs', [1, 4])
def test_a_warm_up_of_epochs(migrated, kind, run, epochs):
    policy = (
        f"policy='step', step=[8], warmup='{kind}', warmup_iters={epochs}, "
        'warmup_ratio=0.2, warmup_by_epoch=True'
    )
    schedulers = _schedulers(migrated, policy, run)
    by_epoch = run is EPOCHS
    unit = EPOCH if by_epoch else 1
    wanted = [
        OF_EPOCHS[kind](i / (epochs * EPOCH))
        * (BASE if i // unit < 8 else BASE * 0.1)
        for i in range(TOTAL * unit)
    ]
    assert _rates(schedulers, by_epoch) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ('policy', 'formula'),
    [
        (
            "policy='poly', by_epoch=False, power=0.9, min_lr=0.01",
            lambda part: 0.01 + (BASE - 0.01) * (1 - part) ** 0.9,
        ),
        (
            "policy='poly', by_epoch=False",
            lambda part: BASE * (1 - part),
        ),
        (
            "policy='LinearAnnealing', by_epoch=False, min_lr_ratio=0.1",
            lambda part: BASE * (1 - 0.9 * part),
        ),
    ],
)
def test_iterations_of_epochs_to_the_end(migrated, policy, formula):
    schedulers = _schedulers(migrated, policy, EPOCHS)
    iters = TOTAL * EPOCH
    wanted = [formula(i / iters) for i in range(iters)]
    assert _rates(schedulers, True) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize('run', [RUN, EPOCHS])
@pytest.mark.parametrize('units', ['True', 'False'])
@pytest.mark.parametrize('minimum', ['min_lr=0.02', 'min_lr_ratio=0.1'])
def test_a_cosine_with_a_minimum_and_a_warm_up(migrated, run, units, minimum):
    by_epoch = run is EPOCHS
    if not by_epoch and units == 'True':
        pytest.skip('a run of iterations has no epochs')
    policy = (
        f"policy='CosineAnnealing', {minimum}, by_epoch={units}, "
        "warmup='linear', warmup_iters=5, warmup_ratio=0.1"
    )
    schedulers = _schedulers(migrated, policy, run)
    iters = TOTAL * (EPOCH if by_epoch else 1)
    step = EPOCH if units == 'True' else 1
    wanted = [
        (0.1 + 0.9 * min(i, 5) / 5)
        * _cos(BASE, 0.02, i // step * step / iters)
        for i in range(iters)
    ]
    assert _rates(schedulers, by_epoch) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize('run', [RUN, EPOCHS])
@pytest.mark.parametrize(
    'policy',
    [
        "policy='FlatCosineAnnealing', min_lr=0.01, start_percent=0.5",
        "policy='CosineAnnealingCooldown', min_lr=0.01, cool_down_time=3",
    ],
)
def test_parts_of_cosines_with_a_minimum_and_a_warm_up(migrated, run, policy):
    warm = "warmup='linear', warmup_iters=15, warmup_ratio=0.1"
    schedulers = _schedulers(migrated, f'{policy}, {warm}', run)
    unit = EPOCH if run is EPOCHS else 1
    half = round(TOTAL / 2)

    def formula(i):
        if 'Flat' in policy:
            return _cos(BASE, 0.01, max(0, i - half) / (TOTAL - half))
        return 0.001 if i > TOTAL - 3 else _cos(BASE, 0.01, i / (TOTAL - 3))

    wanted = [
        (0.1 + 0.9 * min(i, 15) / 15) * formula(i // unit)
        for i in range(TOTAL * unit)
    ]
    rates = _rates(schedulers, run is EPOCHS)
    assert rates == pytest.approx(wanted, abs=1e-9)


def _cycles(i, n, times, up, gamma=1.0, anneal=_cos):
    length = n // times
    cycle, i = divmod(i, length)
    top, high = int(up * length), BASE * (1 + 9 * gamma**cycle)
    if i < top:
        return anneal(BASE, high, i / top)
    return anneal(high, BASE * 1e-4, (i - top) / (length - top))


@pytest.mark.parametrize('run', [RUN, EPOCHS])
@pytest.mark.parametrize(
    ('settings', 'arguments'),
    [
        ('step_ratio_up=0.33', dict(times=1, up=0.33)),
        ('cyclic_times=3', dict(times=3, up=0.4)),
        (
            'cyclic_times=2, gamma=0.5, step_ratio_up=0.2',
            dict(times=2, up=0.2, gamma=0.5),
        ),
        (
            "anneal_strategy='linear'",
            dict(
                times=1,
                up=0.4,
                anneal=lambda a, b, part: a + (b - a) * part,
            ),
        ),
    ],
)
@pytest.mark.parametrize(
    'warm', ['', "warmup='linear', warmup_iters=5, warmup_ratio=0.1"]
)
def test_cycles(migrated, run, settings, arguments, warm):
    policy = f"policy='cyclic', {settings}, {warm}"
    schedulers = _schedulers(migrated, policy, run)
    n = TOTAL * (EPOCH if run is EPOCHS else 1)
    wanted = [
        (0.1 + 0.9 * min(i, 5) / 5 if warm else 1) * _cycles(i, n, **arguments)
        for i in range(n)
    ]
    rates = _rates(schedulers, run is EPOCHS)
    assert rates == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize('run', [RUN, EPOCHS])
@pytest.mark.parametrize(
    ('least', 'last'),
    [('min_lr=0.', 0), ('min_lr=0.01', 0.01), ('min_lr_ratio=0.1', 0.02)],
)
def test_a_cosine_that_begins_where_its_warm_up_ends(
    migrated, run, least, last
):
    of_epochs = run is EPOCHS
    policy = (
        f"policy='StepFixCosineAnnealing', {least}, by_epoch=False, "
        f"warmup='linear', warmup_iters=4, warmup_ratio=1e-4, "
        f'warmup_by_epoch={of_epochs}'
    )
    schedulers = _schedulers(migrated, policy, run)
    unit = EPOCH if of_epochs else 1
    n, warm = TOTAL * unit, 4 * unit
    wanted = [
        _cos(BASE, last, (i - warm) / (n - warm)) * min(i / warm, 1)
        for i in range(n)
    ]
    assert _rates(schedulers, of_epochs) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ('policy', 'formula'),
    [
        (
            "policy='CosineAnnealing', by_epoch=False, min_lr=0.01",
            lambda i, n: _cos(BASE, 0.01, i / n),
        ),
        (
            "policy='OneCycle', max_lr=0.5",
            _one_cycle,
        ),
    ],
)
def test_iterations_of_a_run_of_epochs(migrated, policy, formula):
    schedulers = _schedulers(migrated, policy, EPOCHS)
    iters = TOTAL * EPOCH
    wanted = [formula(i, iters) for i in range(iters)]
    assert _rates(schedulers, True) == pytest.approx(wanted, abs=1e-9)


def test_a_restart_with_another_weight_begins_lower(migrated):
    """This is where MMEngine differs, and the report says so."""
    policy = (
        "policy='CosineRestart', periods=[8, 12], restart_weights=[1, 0.5], "
        'min_lr=0.01'
    )
    schedulers = _schedulers(migrated, policy, RUN)
    assert 'restart weight' in migrated.said('warned')[0]
    rates = _rates(schedulers, False)
    wanted = [
        _restarts(i, TOTAL, (8, 12), (1, 0.5), 0.01) for i in range(TOTAL)
    ]
    assert rates[:8] == pytest.approx(wanted[:8], abs=1e-9)
    assert rates[8] == pytest.approx(BASE * 0.5)
    assert wanted[8] == pytest.approx(0.01 + 0.5 * (BASE - 0.01))
