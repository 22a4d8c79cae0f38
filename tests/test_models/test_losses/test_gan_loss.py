import math

import pytest
import torch

from mmamp.models import GANLoss
from mmamp.registry import MODELS

TYPES = ('vanilla', 'logistic', 'lsgan', 'wgan', 'hinge')


def softplus(x):
    return math.log1p(math.exp(x))


# The loss of one logit, from the papers' formulas: (gan_type, target_is_real,
# is_disc) to a function of the logit.
FORMULAS = {
    ('vanilla', True, True): lambda x: softplus(-x),
    ('vanilla', False, True): softplus,
    ('vanilla', True, False): lambda x: softplus(-x),
    ('logistic', True, True): lambda x: softplus(-x),
    ('logistic', False, True): softplus,
    ('logistic', True, False): lambda x: softplus(-x),
    ('lsgan', True, True): lambda x: (x - 1) ** 2,
    ('lsgan', False, True): lambda x: x**2,
    ('lsgan', True, False): lambda x: (x - 1) ** 2,
    ('wgan', True, True): lambda x: -x,
    ('wgan', False, True): lambda x: x,
    ('wgan', True, False): lambda x: -x,
    ('hinge', True, True): lambda x: max(0.0, 1 - x),
    ('hinge', False, True): lambda x: max(0.0, 1 + x),
    ('hinge', True, False): lambda x: -x,
}
LOGITS = [-3.0, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0]


@pytest.mark.parametrize(('gan_type', 'is_real', 'is_disc'), FORMULAS)
def test_value(gan_type, is_real, is_disc):
    formula = FORMULAS[gan_type, is_real, is_disc]
    loss = GANLoss(gan_type)(
        torch.tensor(LOGITS).view(-1, 1), is_real, is_disc=is_disc
    )
    expected = sum(map(formula, LOGITS)) / len(LOGITS)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_the_generator_is_the_default():
    pred = torch.tensor([5.0])
    assert GANLoss('hinge')(pred, True).item() == -5.0


@pytest.mark.parametrize('gan_type', TYPES)
class TestEveryType:
    def test_pulls_logits_towards_the_target(self, gan_type):
        loss = GANLoss(gan_type)
        for is_real, is_disc in [(True, True), (False, True), (True, False)]:
            pred = torch.zeros(4, 1, requires_grad=True)
            loss(pred, is_real, is_disc=is_disc).backward()
            direction = -1 if is_real else 1
            if (gan_type, is_real) == ('lsgan', False):
                assert (pred.grad == 0).all()  # there already
            else:
                assert (pred.grad * direction > 0).all()

    def test_takes_any_shape(self, gan_type):
        loss = GANLoss(gan_type)
        pred = torch.randn(2, 1, 3, 3)
        torch.testing.assert_close(
            loss(pred, True), loss(pred.flatten(), True)
        )

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_is_computed_in_float32(self, gan_type, dtype):
        loss = GANLoss(gan_type)
        pred = torch.tensor([0.3, -0.7, 0.11]).to(dtype)
        for is_disc in (True, False):
            low = loss(pred, True, is_disc=is_disc)
            assert low.dtype is torch.float32
            assert low == loss(pred.float(), True, is_disc=is_disc)

    def test_under_autocast_too(self, gan_type):
        loss = GANLoss(gan_type)
        pred = torch.randn(8, 1)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            low = loss(pred.bfloat16(), False, is_disc=True)
        assert low.dtype is torch.float32
        assert low == loss(pred.bfloat16().float(), False, is_disc=True)

    def test_large_float16_logits_do_not_overflow(self, gan_type):
        """The square of 300 does, in float16."""
        pred = torch.full((4, 1), 60000.0, dtype=torch.float16)
        for is_real in (True, False):
            value = GANLoss(gan_type)(pred, is_real, is_disc=True)
            assert value.isfinite()

    def test_weight_is_the_generators_alone(self, gan_type):
        plain, weighted = GANLoss(gan_type), GANLoss(gan_type, loss_weight=0.1)
        pred = torch.tensor([-0.5, 2.0])
        torch.testing.assert_close(
            weighted(pred, True), 0.1 * plain(pred, True)
        )
        for is_real in (True, False):
            assert weighted(pred, is_real, is_disc=True) == plain(
                pred, is_real, is_disc=True
            )


def test_an_unknown_type_lists_those_there_are():
    with pytest.raises(ValueError, match=r"'hinged' is unknown") as error:
        GANLoss('hinged')
    for gan_type in TYPES:
        assert repr(gan_type) in str(error.value)


def test_has_no_parameters():
    assert not GANLoss('hinge').state_dict()


def test_builds_from_a_config_and_shows_its_settings():
    loss = MODELS.build(
        dict(type='mmamp.GANLoss', gan_type='lsgan', loss_weight=0.5)
    )
    assert isinstance(loss, GANLoss)
    assert repr(loss) == "GANLoss(gan_type='lsgan', loss_weight=0.5)"
