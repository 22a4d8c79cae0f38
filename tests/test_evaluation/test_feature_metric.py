import logging
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from mmamp.evaluation import FeatureMetric
from mmamp.registry import METRICS, MODELS


@MODELS.register_module(force=True)
class PixelFeatures(nn.Module):
    """The first pixels are the features, the next ones the logits."""

    def __init__(self, num=3, form='tuple', classes=4):
        super().__init__()
        self.num, self.form, self.classes = num, form, classes
        self.weight = nn.Linear(1, 1)
        self.calls = []

    def forward(self, images):
        self.calls.append((len(images), torch.is_autocast_enabled('cpu')))
        flat = images.flatten(1).float()
        features = flat[:, : self.num]
        logits = flat[:, self.num : self.num + self.classes]
        if self.form == 'dict':
            return dict(features=features, logits=logits)
        return features, logits


@pytest.fixture
def build():
    def make(metrics=('FID', 'KID', 'IS'), **kwargs):
        kwargs.setdefault('feature_network', PixelFeatures())
        return FeatureMetric(metrics=list(metrics), **kwargs)

    return make


@pytest.fixture
def pixels():
    """``pixels(num, low, high)``: independent ones."""

    def make(num, low=0, high=256, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(
            low, high, (num, 1, 4, 4), generator=generator
        ).byte()

    return make


def features(images, num=3):
    return images.flatten(1)[:, :num].double().numpy()


class TestFID:
    def test_is_the_closed_form(self, build, evaluate, pixels):
        real, fake = pixels(60), pixels(50, 30, 200, seed=1)
        fake = torch.cat([fake, fake[:10]])
        fake[:, :, 0, 1] = fake[:, :, 0, 0] // 2
        means = [features(x).mean(0) for x in (real, fake)]
        covs = [np.cov(features(x), rowvar=False) for x in (real, fake)]
        root = scipy.linalg.sqrtm(covs[0] @ covs[1]).real
        expected = ((means[0] - means[1]) ** 2).sum() + np.trace(
            covs[0] + covs[1] - 2 * root
        )
        found = evaluate(build(['FID']), real, fake)
        assert found == {'FID': pytest.approx(expected, rel=1e-6)}

    def test_of_a_shifted_set(self, build, evaluate, pixels):
        """Equal covariances: the squared distance of the means."""
        real = pixels(40, 0, 200)
        found = evaluate(build(['FID']), real, real + 5)
        assert found['FID'] == pytest.approx(3 * 25, rel=1e-6)

    def test_of_the_same_set(self, build, evaluate, pixels):
        real = pixels(40)
        order = torch.randperm(40)
        found = evaluate(build(['FID']), real, real[order])
        assert found['FID'] == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize(('num', 'is_told'), [(3, True), (4, False)])
    def test_fewer_images_than_features(
        self, build, evaluate, pixels, mm_log, num, is_told
    ):
        metric = build(['FID'])
        for seed in (1, 2):
            evaluate(metric, pixels(num), pixels(num, seed=seed))
        told = mm_log(logging.WARNING).count(
            f'FID: the covariance of {num} images has no full rank in 3'
        )
        assert told == is_told


def kid(real, fake):
    """The unbiased estimate, pair by pair."""

    def kernel(x, y):
        return (x @ y / len(x) + 1) ** 3

    num = len(real)
    total = 0.0
    for i in range(num):
        for j in range(num):
            if i != j:
                total += kernel(real[i], real[j]) / (num * (num - 1))
                total += kernel(fake[i], fake[j]) / (num * (num - 1))
            total -= 2 * kernel(real[i], fake[j]) / num**2
    return total


class TestKID:
    def test_is_the_sum_over_pairs(self, build, evaluate, pixels, mm_log):
        real, fake = pixels(20, 0, 5), pixels(20, 2, 7, seed=1)
        expected = kid(features(real), features(fake))
        found = evaluate(build(['KID']), real, fake)
        # All as one subset have no deviation.
        assert found == {'KID': pytest.approx(expected, rel=1e-9)}
        assert '20 images are fewer than kid_subset_size=1000' in mm_log(
            logging.INFO
        )

    def test_is_the_mean_of_subsets(self, build, evaluate, pixels, mm_log):
        real, fake = pixels(30, 0, 5), pixels(30, 2, 7, seed=1)
        metric = build(['KID'], kid_subsets=400, kid_subset_size=10)
        found = evaluate(metric, real, fake)
        expected = kid(features(real), features(fake))
        assert found['KID'] == pytest.approx(expected, rel=0.1)
        assert found['KID_std'] > 0
        assert not mm_log(logging.INFO)


class TestInceptionScore:
    def images(self, logits):
        """Logits in [0, 255] as pixels 3 to 6."""
        fake = torch.zeros(len(logits), 1, 4, 4, dtype=torch.uint8)
        fake.view(len(fake), -1)[:, 3:7] = torch.tensor(logits).byte()
        return fake

    def test_of_sure_and_even_classes(self, build, evaluate):
        fake = self.images((np.eye(4) * 100).repeat(5, axis=0))
        found = evaluate(build(['IS'], is_splits=1), fake, fake)
        assert found == {'IS': pytest.approx(4)}

    def test_of_unsure_ones(self, build, evaluate):
        fake = self.images(np.full((20, 4), 7))
        found = evaluate(build(['IS'], is_splits=2), fake, fake)
        assert found['IS'] == pytest.approx(1)

    def test_of_one_class(self, build, evaluate):
        fake = self.images(np.eye(4)[[2] * 20] * 100)
        found = evaluate(build(['IS']), fake, fake)
        assert found['IS'] == pytest.approx(1)

    def test_closed_form(self, build, evaluate):
        """exp of the mean of KL(p(y|x), p(y)), for two kinds of images."""
        logits = np.array([[3, 0, 0, 0], [0, 2, 0, 1]])
        prob = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        expected = math.exp((prob * np.log(prob / prob.mean(0))).sum(1).mean())
        fake = self.images(logits.repeat(10, axis=0))
        found = evaluate(build(['IS'], is_splits=1), fake, fake)
        assert found['IS'] == pytest.approx(expected)

    def test_deviation_is_that_of_all_splits(self, build, evaluate):
        """As in Salimans et al.'s code, which takes numpy's."""
        rng = np.random.default_rng(0)
        logits = rng.integers(0, 4, (30, 4)).astype(float)
        fake = self.images(logits)
        found = evaluate(build(['IS'], is_splits=3), fake, fake)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            order = torch.randperm(30).numpy()
        prob = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        scores = [
            math.exp((part * np.log(part / part.mean(0))).sum(1).mean())
            for part in np.split(prob[order], 3)
        ]
        assert found['IS'] == pytest.approx(np.mean(scores))
        assert found['IS_std'] == pytest.approx(np.std(scores))

    def test_needs_no_real_images(self, build):
        metric = build(['IS'], is_splits=1)
        fake = self.images(np.eye(4) * 100)
        metric.process(dict(), [dict(fake_img=image) for image in fake])
        assert metric.evaluate(4)['IS'] == pytest.approx(4)

    def test_fewer_images_than_splits(self, build, evaluate):
        fake = self.images(np.eye(4))
        with pytest.raises(ValueError, match='is_splits=10.*4 images'):
            evaluate(build(['IS']), fake, fake)


class TestNetwork:
    def test_sees_each_image_once_without_autocast(
        self, build, evaluate, pixels
    ):
        network = PixelFeatures()
        metric = build(feature_network=network)
        assert not network.training
        with torch.autocast('cpu', torch.bfloat16):
            evaluate(metric, pixels(20), pixels(20), batch_size=10)
        assert network.calls == [(10, False)] * 4

    def test_of_a_config_that_returns_a_dict(self, evaluate, pixels):
        network = dict(type='mmamp.PixelFeatures', form='dict')
        metric = METRICS.build(
            dict(type='mmamp.FeatureMetric', feature_network=network)
        )
        found = evaluate(metric, pixels(20), pixels(20, seed=1))
        assert set(found) == {'FID', 'KID', 'IS', 'IS_std'}

    def test_of_another_type(self):
        with pytest.raises(TypeError, match='dict or an nn.Module.*str'):
            FeatureMetric('inception')

    @pytest.mark.parametrize(
        ('output', 'said'),
        [
            (lambda x: x, r'tensor of shape \(7, 1, 4, 4\)'),
            (lambda x: dict(features=x), 'None'),
            (lambda x: (x.flatten(1), x), r'7, 1, 4, 4'),
            (lambda x: (x[0, 0], x[0, 0]), r'4, 4'),
        ],
    )
    def test_that_returns_something_else(
        self, build, evaluate, pixels, output, said
    ):
        network = PixelFeatures()
        network.forward = output
        with pytest.raises(TypeError, match=f'features.*logits.*{said}'):
            evaluate(build(feature_network=network), pixels(7), pixels(7))


class TestSets:
    def test_draws_are_its_own(self, build, evaluate, pixels):
        metric = build(kid_subsets=3, kid_subset_size=10)
        found = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            found.append(evaluate(metric, pixels(30), pixels(30, seed=1)))
            assert torch.equal(torch.get_rng_state(), before)
        assert found[0] == found[1]

    def test_keeps_features_alone(self, build, pixels):
        metric = build()
        fake = pixels(5)
        metric.process(
            dict(inputs=fake), [dict(fake_img=image) for image in fake]
        )
        assert len(metric.results) == 5
        shapes = {k: v.shape for k, v in metric.results[0].items()}
        assert shapes == dict(real=(3,), fake=(3,), logits=(4,))

    def test_real_key(self, build, evaluate, pixels):
        real = pixels(20)
        metric = build(['FID'], real_key='target_img')
        found = evaluate(metric, real, real, key='target_img')
        assert found['FID'] == pytest.approx(0, abs=1e-6)

    def test_one_image(self, build, evaluate, pixels):
        with pytest.raises(ValueError, match='at least two'):
            evaluate(build(), pixels(1), pixels(1))


@pytest.mark.parametrize('metrics', [[], ['fid'], 'FID', ['FID', 'PSNR']])
def test_unknown_scores(build, metrics):
    with pytest.raises(ValueError, match=r'metrics=.*FID, KID, IS'):
        FeatureMetric(PixelFeatures(), metrics=metrics)


def _score(rank, world_size, real, fake):
    metric = FeatureMetric(
        PixelFeatures(), kid_subsets=3, kid_subset_size=5, is_splits=2
    )
    for i in range(rank, len(real), world_size):
        metric.process(dict(inputs=real[i : i + 1]), [dict(fake_img=fake[i])])
    return metric.evaluate(len(real))


def test_any_number_of_ranks(in_ranks, pixels, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    sets = pixels(12), pixels(12, seed=1)
    assert in_ranks(2, _score, *sets) == [_score(0, 1, *sets)] * 2
