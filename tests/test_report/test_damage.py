import pytest

from mmamp.report.damage import assess, suspects


def sizes(values=100, zeros=0, nonfinite=0):
    return dict(exponents={'0': values}, zeros=zeros, nonfinite=nonfinite)


def trial(modules, origins=(), skipped=None, windows=None):
    return dict(
        origins=dict(origins),
        skipped=skipped or {},
        windows=windows or {k: range(1, 9) for k in skipped or {}},
        modules={
            name: dict(kind='Conv2d', outputs=out, gradients=grad)
            for name, (out, grad) in modules.items()
        },
    )


WELL = trial({'a': (sizes(), sizes()), 'a.b': (sizes(), sizes())})


def test_a_healthy_one():
    skips = dict(gen=[1, 2, 2, 2, 2, 2, 2, 2])  # at the beginning alone
    modules = {'a': (sizes(90, 10), sizes()), 'a.b': (sizes(), sizes())}
    assert assess(trial(modules, skipped=skips), WELL) == []


def test_overflow():
    bad = trial({'a': (sizes(0, 0, 100), sizes())}, origins={'a': 3})
    (found,) = assess(bad, WELL)
    assert (found.kind, found.where) == ('overflow', 'a')
    assert '3 iterations' in found.text
    assert suspects(bad, WELL, [found]) == ['a']


def test_what_float32_does_too_is_not_the_dtypes():
    bad = trial({'a': (sizes(), sizes())}, origins={'a': 3})
    assert assess(bad, bad) == []


@pytest.mark.parametrize('part', [0, 1])
def test_underflow(part):
    parts = [sizes(), sizes()]
    parts[part] = sizes(60, 40)
    bad = trial({'a': tuple(parts), 'a.b': (sizes(), sizes())})
    (found,) = assess(bad, WELL)
    assert (found.kind, found.where) == ('underflow', 'a')
    assert '40%' in found.text
    assert ('gradients' in found.text) == bool(part)


def test_of_the_steps_that_were_due():
    """Of eight iterations, as few as two may have one."""
    bad = trial(
        {'a': (sizes(), sizes())},
        skipped=dict(generator=[0, 0, 0, 1, 1, 1, 1, 2]),
        windows=dict(generator=[0, 0, 0, 1, 1, 1, 1, 2]),
    )
    (found,) = assess(bad, WELL)
    assert '1 of its last 1 steps' in found.text


def test_steps_that_go_on_being_skipped():
    counts = [1, 2, 3, 4, 5, 6, 7, 8]
    bad = trial(
        {'a': (sizes(), sizes()), 'a.b': (sizes(), sizes(90, 0, 10))},
        skipped={'': counts},
    )
    (found,) = assess(bad, WELL)
    assert (found.kind, found.where) == ('skipped', 'optim_wrapper')
    assert '4 of its last 4' in found.text
    # The innermost whose gradients are not finite.
    assert suspects(bad, WELL, [found]) == ['a.b']
    bad['modules']['a.b']['gradients'] = sizes()
    assert suspects(bad, WELL, [found]) == ['a.b']  # all that compute
