import pytest
import torch
from quadratic import FAKE, REAL, Quadratic

from mmamp.models.losses import DRAGAN, R1, R2, WGANGP, PathLength


class TestLazy:
    def test_is_due_every_interval_and_weighs_as_much(self):
        penalty = R1(weight=2, interval=16)
        due = [i for i in range(40) if penalty.is_due(i)]
        assert due == [0, 16, 32]
        once = R1(weight=2)(Quadratic(), (REAL,), (FAKE,))
        lazy = penalty(Quadratic(), (REAL,), (FAKE,))
        torch.testing.assert_close(lazy, 16 * once)

    def test_without_weight_it_is_never_due(self):
        assert not R1(weight=0).is_due(0)


class TestBadArguments:
    @pytest.mark.parametrize('kind', [R1, R2, WGANGP, DRAGAN, PathLength])
    @pytest.mark.parametrize(
        'kwargs', [dict(weight=-1), dict(interval=0), dict(interval=1.5)]
    )
    def test_of_all(self, kind, kwargs):
        (name,) = kwargs
        with pytest.raises(ValueError, match=f'{name} must be'):
            kind(**kwargs)
