import pytest

from mmamp.engine.loops.data_position import _AdvancedBatches


@pytest.mark.parametrize('loads', [True, False])
@pytest.mark.parametrize('at_once', [True, False])
def test_what_was_taken_is_asked_for_one_by_one_or_at_once(loads, at_once):
    # MMEngine takes it step by step, onedl-mmengine in one call.
    source = iter(range(5) if loads else range(3, 5))
    batches = _AdvancedBatches(source, taken=3, loads=loads)
    called = []
    batches.then = lambda: called.append(True)
    if at_once:
        batches.skip_iter(3)
    else:
        for _ in range(3):
            next(batches)
    assert not called
    assert list(batches) == [3, 4]
    assert called == [True]
