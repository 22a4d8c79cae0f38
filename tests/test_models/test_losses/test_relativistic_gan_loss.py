import math

import pytest
import torch

from mmamp.models import RelativisticGANLoss

REAL, FAKE = [2.0, -1.0, 0.5], [0.25, -3.0, 1.0]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def mean(values):
    return sum(values) / len(values)


def formula(is_disc):
    """Equations 1 and 2 of ESRGAN."""
    real = [sigmoid(x - mean(FAKE)) for x in REAL]
    fake = [sigmoid(x - mean(REAL)) for x in FAKE]
    if is_disc:
        return -mean([math.log(x) for x in real]) - mean(
            [math.log(1 - x) for x in fake]
        )
    return -mean([math.log(1 - x) for x in real]) - mean(
        [math.log(x) for x in fake]
    )


@pytest.mark.parametrize('is_disc', [True, False])
def test_value(is_disc):
    loss = RelativisticGANLoss()(
        torch.tensor(REAL).view(-1, 1),
        torch.tensor(FAKE).view(-1, 1),
        is_disc=is_disc,
    )
    assert loss.shape == ()
    assert loss.item() == pytest.approx(formula(is_disc), rel=1e-6)


def test_the_weight_is_the_generators():
    loss = RelativisticGANLoss(loss_weight=0.005)
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    assert loss(real, fake).item() == pytest.approx(0.005 * formula(False))
    disc = loss(real, fake, is_disc=True).item()
    assert disc == pytest.approx(formula(True))


def test_both_predictions_get_a_gradient():
    real = torch.tensor(REAL, requires_grad=True)
    fake = torch.tensor(FAKE, requires_grad=True)
    RelativisticGANLoss()(real, fake, is_disc=True).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_is_computed_in_float32(dtype):
    loss = RelativisticGANLoss()
    real, fake = torch.tensor(REAL).to(dtype), torch.tensor(FAKE).to(dtype)
    low = loss(real, fake)
    assert low.dtype is torch.float32
    assert torch.equal(low, loss(real.float(), fake.float()))
