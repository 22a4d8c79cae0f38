"""Of ``benchmarks.optimizers.judge``."""

import copy

import pytest

from benchmarks.optimizers.judge import judge, last_words
from benchmarks.optimizers.toy import ITERATIONS
from benchmarks.optimizers.trial import Seen


def factor(i):
    return (0.1 + 0.9 * min(i, 9) / 9) * (1 - 0.999 * max(i - 12, 0) / 7)


WHOLE = dict(
    before=1.5,
    after=1.0,
    loss={str(i): 2.0 for i in range(ITERATIONS)},
    lr={str(i): 0.01 * factor(i) for i in range(ITERATIONS)},
    moved={str(i): factor(i) for i in range(1, ITERATIONS, 2)},
    sizes=dict(exp_avg=1.0, exp_avg_sq=1e-3),
    skipped=1,
    spoilt=[],
    has_modes=False,
    own_rate=False,
    scores={'20': {'toy/loss': 1.0}},
    end={'weight': 'a', 'weight.exp_avg': 'b'},
)


def seen(**whole):
    found = {**copy.deepcopy(WHOLE), **whole}
    resumed = dict(inside=copy.deepcopy(WHOLE), after=copy.deepcopy(WHOLE))
    return Seen(0, '', found, resumed, dict(inside='', after=''), {}, {})


def test_right():
    found = judge(seen(), WHOLE)
    assert (found.verdict, found.reason) == ('right', '')
    assert found.trains
    assert found.skips
    assert found.resumes
    assert found.schedules
    assert found.loss == (1.5, 1.0)


@pytest.mark.parametrize(
    ('whole', 'reason', 'failed'),
    [
        (dict(after=float('nan')), 'weights are not finite', 'trains'),
        (
            dict(moved={'13': 0.0, '19': 0.0}),
            'have not moved',
            'trains schedules',
        ),
        (dict(skipped=2), '2 windows are skipped, not 1', 'skips'),
        (dict(spoilt=['bias.exp_avg']), 'changes bias.exp_avg', 'skips'),
        (
            dict(end={'weight': 'c', 'weight.exp_avg': 'b'}),
            '--resume inside ends with another weight',
            'resumes',
        ),
        (
            dict(lr={str(i): 0.01 for i in range(ITERATIONS)}),
            'at iteration 0 the rate is 1 of its peak, by the schedule 0.1',
            'schedules',
        ),
        (
            dict(loss={str(i): 2.0 + i for i in range(ITERATIONS)}),
            'the loss of iteration 1 is 3, not 2',
            '',
        ),
        (
            dict(sizes=dict(exp_avg=1024.0, exp_avg_sq=1e-3)),
            'exp_avg is 1.02e+03 times that in float32',
            '',
        ),
        (dict(has_modes=True), 'the last checkpoint cannot be tested', ''),
    ],
)
def test_wrong(whole, reason, failed):
    found = judge(seen(**whole), WHOLE)
    assert found.verdict == 'wrong'
    assert reason in found.reason
    for name in ('trains', 'skips', 'resumes', 'schedules'):
        assert getattr(found, name) == (name not in failed), name


@pytest.mark.parametrize(
    'whole',
    [
        dict(moved={'13': 1.0, '19': 0.9}),
        dict(lr={str(i): 0.1 for i in range(ITERATIONS)}, own_rate=True),
        dict(lr={str(i): None for i in range(ITERATIONS)}),
    ],
)
def test_an_update_that_does_not_follow_the_rate_is_told_of_alone(whole):
    found = judge(seen(**whole), WHOLE)
    assert found.verdict == 'right'
    assert not found.schedules


def test_scores_of_a_checkpoint_and_of_its_validation():
    found = seen(has_modes=True)
    found.scores = {'toy/loss': 1.0}
    assert judge(found, WHOLE).verdict == 'right'
    found.scores = {'toy/loss': 1.1}
    assert judge(found, WHOLE).reason == (
        'the last checkpoint scores 1.1, its validation 1'
    )


def test_a_checkpoint_that_cannot_be_resumed():
    found = seen()
    found.resumed['inside'] = {}
    found.logs['inside'] = 'mmamp.train: error: no such thing (more in a.log)'
    assert judge(found, {}).reason == '--resume inside fails: no such thing'


def test_what_a_run_has_told_is_not_wrong():
    found = seen(end={'weight': 'c', 'weight.exp_avg': 'b'})
    found.resumed['after'] = found.whole
    said = 'AmpOptimWrapper: what there was of the window is dropped.'
    found.logs['inside'] = f'11/29 - mmengine - WARNING - {said}'
    verdict = judge(found, {})
    assert (verdict.verdict, verdict.note) == ('right', said)
    assert not verdict.resumes


TRACEBACK = """\
Traceback (most recent call last):
  File "/env/lib/python3.11/site-packages/some/optim.py", line 85, in step
    raise KeyError
KeyError: 'lr'
"""


@pytest.mark.parametrize(
    ('code', 'log', 'verdict', 'reason'),
    [
        (2, 'INFO\nmmamp.train: error: no\nmore', 'refused', 'no more'),
        (
            2,
            'mmamp.train: error: too many values to unpack',
            'error',
            'too many values to unpack',
        ),
        (1, TRACEBACK, 'error', "KeyError: 'lr' (some/optim.py:85)"),
        (-9, 'INFO\n\ntook longer than 9 s', 'error', 'took longer than 9 s'),
        (-11, '', 'error', 'says nothing'),
        (
            0,
            'install triton',
            'wrong',
            'ends before its end with exit code 0: install triton',
        ),
    ],
)
def test_without_an_end(code, log, verdict, reason):
    found = judge(Seen(code, log, {}, {}, {}, {}, {}), {})
    assert (found.verdict, found.reason) == (verdict, reason)


def test_last_words_of_a_log():
    assert last_words('one\n\ntwo\n') == 'two'
