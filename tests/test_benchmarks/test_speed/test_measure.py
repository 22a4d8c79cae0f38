"""Of the ratios, and of what tables make of them."""

import pytest

from benchmarks.speed import comparisons as module
from benchmarks.speed.comparisons import (
    Comparison,
    comparisons,
    empty_steps,
    small_epochs,
    variants_of,
)
from benchmarks.speed.measure import Estimate, Measured, ratio
from benchmarks.speed.report import (
    empty_rows,
    import_rows,
    ratio_rows,
    variant_rows,
)
from benchmarks.speed.variants import (
    ACCELERATE,
    BY_HAND,
    FABRIC,
    MMAMP,
    STOCK,
    Variant,
)

FULL = Variant('tiny', MMAMP)
AMP = Variant('tiny', MMAMP, 'bfloat16', 'channels_last')
FOUND = {
    FULL: Measured(((0.1, 0.2, 0.4),), (20 * 2**20,), (200 * 2**20,)),
    AMP: Measured(((0.06, 0.1, 0.3),), (30 * 2**20,), (120 * 2**20,)),
}


def test_a_ratio_is_that_of_each_round():
    # Not the ratio of the medians, 0.5 here as well, nor that of the means.
    estimate = ratio(FOUND[AMP], FOUND[FULL])
    assert estimate.median == pytest.approx(0.6)
    assert str(estimate) == '0.60 (0.50 to 0.75)'


def test_of_several_processes_the_interval_is_that_of_processes():
    ones = Measured(((1.0,) * 3,) * 2)
    both = Measured(((0.5, 1.0, 1.5), (2.0, 3.0, 9.0)))
    assert ratio(both, ones) == Estimate(2.0, 1.0, 3.0)
    assert both.milliseconds == Estimate(2000.0, 1000.0, 3000.0)


@pytest.mark.parametrize(
    # Of ratios from 1 to `num`; a table of the sign test has the others.
    ('num', 'low', 'high'),
    [(1, 1, 1), (5, 1, 5), (6, 1, 6), (9, 2, 8), (24, 7, 18), (100, 40, 61)],
)
def test_the_interval_of_a_median(num, low, high):
    values = [float(i) for i in range(num, 0, -1)]
    for seen in ([values], [[x] for x in values]):
        estimate = Estimate.of(seen)
        assert (estimate.low, estimate.high) == (low, high)


@pytest.mark.parametrize(
    ('target', 'quantity', 'row'),
    [
        (
            0.60,
            'time',
            ('0.60 (0.50 to 0.75)', '<= 0.60', 'met, within noise'),
        ),
        (
            0.59,
            'time',
            ('0.60 (0.50 to 0.75)', '<= 0.59', 'missed, within noise'),
        ),
        (0.75, 'time', ('0.60 (0.50 to 0.75)', '<= 0.75', 'met')),
        (0.49, 'time', ('0.60 (0.50 to 0.75)', '<= 0.49', 'missed')),
        (0.65, 'memory', ('0.60', '<= 0.65', 'met')),
        (
            0.45,
            'training memory',
            ('0.50 (0.50 to 0.50)', '<= 0.45', 'missed'),
        ),
        (None, 'time', ('0.60 (0.50 to 0.75)', '', '')),
    ],
)
def test_verdicts(target, quantity, row):
    asked = [Comparison('a', AMP, FULL, target, quantity)]
    assert ratio_rows(asked, FOUND)[1:] == [('a', *row)]


def test_a_target_for_other_processors_is_neither_met_nor_missed(monkeypatch):
    monkeypatch.setattr(module, 'has_native', lambda *_: False)
    asked = [Comparison('a', AMP, FULL, 0.6, fast=True)]
    verdict = ratio_rows(asked, FOUND)[1][-1]
    assert verdict == 'no bfloat16 instructions: the target does not apply'


def test_memory_that_is_not_known_has_no_row():
    found = {FULL: Measured(((0.1,),)), AMP: Measured(((0.1,),))}
    for quantity in ('memory', 'training memory'):
        asked = [Comparison('a', AMP, FULL, quantity=quantity)]
        assert len(ratio_rows(asked, found)) == 1
    assert variant_rows(found)[1][-2:] == ('', '')


def test_memory_before_training_has_a_column():
    assert variant_rows(FOUND)[1][-2:] == ('200', '20')


def test_what_importing_takes():
    assert import_rows({'a': 3 * 2**20})[1:] == [('a', '3')]


def test_the_runner_beside_the_training_step():
    steps = {
        variant: Measured(((ms / 1000,),))
        for variant, ms in zip(
            empty_steps((0, 20_000)), (0.3, 0.3, 0.6, 1.2), strict=True
        )
    }
    ours, theirs = small_epochs()
    epochs = {ours: Measured(((0.001,),)), theirs: Measured(((0.5,),))}
    assert empty_rows(steps, epochs)[1:] == [
        (
            'ms of an empty step after 0 iterations',
            *('0.30 (0.30 to 0.30)', '0.60 (0.60 to 0.60)', '<= 0.35', 'met'),
        ),
        (
            'ms of an empty step after 20,000 iterations',
            *('0.30 (0.30 to 0.30)', '1.20 (1.20 to 1.20)', '<= 0.35', 'met'),
        ),
        (
            'the last of these over the first',
            *('1.00 (1.00 to 1.00)', '2.00 (2.00 to 2.00)', '<= 1.1', 'met'),
        ),
        (
            's of an epoch of 4 empty steps',
            *('0.004', '2.000', '<= 0.1', 'met'),
        ),
    ]


def test_what_is_compared_on_a_cpu_without_the_instructions(monkeypatch):
    monkeypatch.setattr(module, 'has_native', lambda *_: False)
    monkeypatch.setattr(module, 'get_device', lambda: 'cpu')
    asked = comparisons('biggan', ['float32', 'bfloat16', 'float16'])
    ways = {(v.way, v.dtype) for v in variants_of(asked)}
    assert ways == {
        (MMAMP, 'float32'),
        (MMAMP, 'bfloat16'),
        (MMAMP, 'float16'),
        # torch.amp would take minutes for an iteration, MMEngine refuses.
        (BY_HAND, 'float32'),
        (STOCK, 'float32'),
    }
    targets = {c.what: c.target for c in asked if c.target is not None}
    assert targets == {
        '--amp (bfloat16, channels_last) over float32': 0.5,
        '--amp (bfloat16) over float32, both channels_last': 0.62,
        'memory: --amp (bfloat16) over float32': 0.65,
        'mmamp over by hand, float32': 1.03,
    }


def test_what_is_compared_on_a_gpu(monkeypatch):
    monkeypatch.setattr(module, 'has_native', lambda *_: True)
    monkeypatch.setattr(module, 'get_device', lambda: 'cuda')
    asked = comparisons('dcgan', ['float32', 'float16'])
    targets = {c.what: c.target for c in asked}
    assert targets['--amp (float16, channels_last) over float32'] == 0.5
    assert targets['mmamp over stock, float16'] == 0.9
    assert targets['mmamp over stock, float32'] is None


@pytest.mark.parametrize(
    ('name', 'dtypes', 'target'),
    [
        # The tiny model alone: autocast takes many times as long as float32.
        ('tiny', {'float32', 'bfloat16'}, 1.03),
        ('biggan', {'float32'}, 1.0),
    ],
)
def test_peers_on_a_cpu_without_the_instructions(
    name, dtypes, target, monkeypatch
):
    monkeypatch.setattr(module, 'has_native', lambda *_: False)
    monkeypatch.setattr(module, 'get_device', lambda: 'cpu')
    asked = comparisons(
        name, ['float32', 'bfloat16', 'float16'], [FABRIC, ACCELERATE]
    )
    for peer in (FABRIC, ACCELERATE):
        of_peer = [c for c in asked if c.over.way == peer]
        # Neither has float16 on a CPU.
        assert {c.over.dtype for c in of_peer} == dtypes
        assert {c.target for c in of_peer} == {target}
        assert [c.what for c in of_peer][:2] == [
            f'mmamp over {peer}, float32',
            f'memory of training: mmamp over {peer}, float32',
        ]
        for c in of_peer:
            assert c.of == Variant(name, MMAMP, c.over.dtype, 'channels_last')
            assert c.over.memory_format == 'channels_last'


def test_peers_on_a_gpu_have_all(monkeypatch):
    monkeypatch.setattr(module, 'has_native', lambda *_: True)
    monkeypatch.setattr(module, 'get_device', lambda: 'cuda')
    asked = comparisons('dcgan', ['float32', 'float16'], [FABRIC])
    dtypes = {c.over.dtype for c in asked if c.over.way == FABRIC}
    assert dtypes == {'float32', 'float16'}
