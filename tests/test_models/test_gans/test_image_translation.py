import pytest
import torch
from torch import nn

from mmamp.models import ImageTranslationGAN


class Plus(nn.Module):
    """Adds what it has learnt; dropout shows the mode."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))
        self.dropout = nn.Dropout(0.9)

    def forward(self, x):
        return self.dropout(x + self.shift)


class Made(ImageTranslationGAN):
    def disc_loss(self, inputs, data_samples, optimizer_wrapper):
        raise NotImplementedError

    gen_loss = disc_loss


def make(**kwargs):
    return Made(Plus(), nn.Linear(1, 1), **kwargs)


def batch(**samples):
    inputs = torch.full((2, 1, 4, 4), 100, dtype=torch.uint8)
    images = {k: torch.full_like(inputs, v) for k, v in samples.items()}
    return dict(inputs=inputs, data_samples=images)


def values(panels):
    for images in panels.values():
        assert images.dtype is torch.uint8
        assert images.shape == (2, 1, 4, 4)
    return {name: int(images[0, 0, 0, 0]) for name, images in panels.items()}


class TestPanels:
    def test_source_result_and_target(self):
        gan = make()
        gan.generator.shift.data += 10 / 127.5
        panels = gan.panels(batch(gt_img=7))
        assert list(panels) == ['source', 'output', 'target']
        assert values(panels) == dict(source=100, output=110, target=7)
        assert gan.generator.training

    def test_the_average(self):
        gan = make(ema_config=dict(momentum=0.1))
        gan.generator.shift.data += 10 / 127.5
        panels = gan.panels(batch(target_img=9))
        expected = {'source': 100, 'output': 110, 'average': 100, 'real B': 9}
        assert values(panels) == expected

    def test_without_anything_beside(self):
        panels = make().panels(dict(inputs=batch()['inputs']))
        assert list(panels) == ['source', 'output']


def test_prediction_is_by_the_average_in_evaluation_mode():
    gan = make(ema_config=dict(momentum=0.1))
    gan.generator.shift.data += 1
    (first, second) = gan.val_step(batch())
    assert (first['fake_img'] == 100).all()
    assert (second['fake_img'] == 100).all()


def test_another_mode():
    with pytest.raises(ValueError, match="mode='loss'.*train_step"):
        make()(torch.zeros(1, 1, 4, 4), mode='loss')
