from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmamp.evaluation import DigitFeatures
from mmamp.evaluation.digit_features import _moved
from mmamp.registry import DATASETS, METRICS

CONFIGS = Path(__file__).parents[2] / 'configs'
CONFIG = CONFIGS / 'digit_features' / 'digit_features_cnn-32x32.py'
WEIGHTS = CONFIG.with_suffix('.pth')


@pytest.fixture(scope='module')
def network():
    return DigitFeatures(checkpoint=str(WEIGHTS)).eval()


@pytest.fixture(scope='module')
def held_out():
    init_default_scope('mmamp')
    dataset = DATASETS.build(Config.fromfile(CONFIG).val_dataloader.dataset)
    items = list(dataset)
    labels = [item['data_samples']['gt_label'] for item in items]
    return torch.stack([x['inputs'] for x in items]), torch.tensor(labels)


class TestShippedWeights:
    def test_are_small_and_safe(self):
        assert WEIGHTS.stat().st_size < 300_000
        state = torch.load(WEIGHTS, weights_only=True)
        floats = [x for x in state.values() if x.is_floating_point()]
        assert {x.dtype for x in floats} == {torch.float32}

    def test_accuracy_on_held_out_digits(self, network, held_out):
        images, labels = held_out
        assert len(images) == 360
        _, logits = network(images)
        assert (logits.argmax(1) == labels).float().mean() >= 0.97

    def test_fid_tells_digits_from_others(self, evaluate, held_out):
        """Bounds far from the values in the README of the config."""
        images, _ = held_out
        init_default_scope('mmamp')
        path = CONFIGS / '_base_' / 'evaluators' / 'digits.py'
        cfg = Config.fromfile(path).val_evaluator[0]
        generator = torch.Generator().manual_seed(0)
        noise = torch.randint(0, 256, images.shape, generator=generator).byte()
        found = [
            evaluate(METRICS.build(dict(cfg)), real, fake, batch_size=90)
            for real, fake in (
                (images[::2], images[1::2]),
                (images[::2], images[1:2].expand(180, -1, -1, -1)),
                (images[::2], noise[::2]),
            )
        ]
        assert found[0]['FID'] < 2
        assert found[1]['FID'] > 10
        assert found[2]['FID'] > 50
        assert found[0]['KID'] < found[1]['KID'] < found[2]['KID']
        # Of splits of 18 images each.
        assert found[0]['IS'] > 5
        assert found[1]['IS'] == pytest.approx(1)


class TestForward:
    def test_features_and_logits(self, network, held_out):
        images = held_out[0][:5]
        features, logits = network(images)
        assert features.shape == (5, 64)
        assert logits.shape == (5, 10)
        normalised = (images.float() - 127.5) / 127.5
        torch.testing.assert_close(network(normalised), (features, logits))

    def test_predictions(self, network, held_out):
        images, labels = held_out
        found = network.val_step(dict(inputs=images[:50]))
        right = [
            x['pred_label'] == int(y)
            for x, y in zip(found, labels, strict=False)
        ]
        assert sum(right) >= 47

    def test_loss_is_of_moved_digits(self, network, held_out):
        images, labels = held_out
        inputs = (images.float() - 127.5) / 127.5
        samples = dict(gt_label=labels)
        losses = [
            network(inputs, samples, mode='loss')['loss'] for _ in range(2)
        ]
        assert losses[0] != losses[1]
        assert losses[0] < 0.3

    def test_colour_images(self, network):
        with pytest.raises(ValueError, match=r'grey.*\(2, 3, 32, 32\)'):
            network(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))

    def test_another_mode(self, network):
        with pytest.raises(ValueError, match="'other'.*'predict'"):
            network(torch.zeros(2, 1, 32, 32), mode='other')

    def test_no_such_checkpoint(self):
        with pytest.raises(FileNotFoundError, match=r"'no\.pth'.*README"):
            DigitFeatures(checkpoint='no.pth')


class TestMoved:
    def test_not_at_all(self, held_out):
        images = held_out[0][:4].float() / 127.5 - 1
        found = _moved(images, turn=0, shift=0, scale=0)
        torch.testing.assert_close(found, images)

    def test_what_comes_in_is_black(self):
        white = torch.ones(8, 1, 32, 32)
        found = _moved(white, turn=0, shift=0.5, scale=0)
        assert found.min() == -1
        assert 0.1 < (found == -1).float().mean() < 0.8

    def test_a_shift_is_a_share_of_the_image(self):
        dot = torch.full((200, 1, 32, 32), -1.0)
        dot[:, :, 16, 16] = 1
        found = _moved(dot, turn=0, shift=0.25, scale=0) + 1
        places = torch.arange(32.0)
        x = (found.sum((1, 2)) * places).sum(1) / found.sum((1, 2, 3))
        assert 7 < (x - 16).abs().max() <= 8.01

    def test_each_in_its_own_way(self, held_out):
        images = (held_out[0][:1].float() / 127.5 - 1).repeat(2, 1, 1, 1)
        found = _moved(images)
        assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize('amp', [False, True])
def test_the_config_learns(tmp_path, amp):
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir = str(tmp_path)
    cfg.log_level = 'WARNING'
    cfg.train_cfg.update(max_iters=150, val_interval=150)
    cfg.param_scheduler[0].T_max = 150
    if amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.val_loop.run()
    assert metrics['accuracy'] >= 70
