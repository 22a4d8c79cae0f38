import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from mmamp.evaluation import DigitClassifier


@pytest.fixture(scope='module')
def classifier():
    return DigitClassifier()


@pytest.fixture(scope='module')
def digits():
    """uint8, 8x8, as DigitsDataset has them."""
    images = load_digits().images
    return np.round(images * 255 / 16).astype(np.uint8)[:, None]


def share(classifier, images):
    return classifier.counts(images).sum() / len(images)


class TestRealDigits:
    """Those that it has not seen are counted by itself."""

    def test_accuracy(self, classifier):
        assert 0.9 <= classifier.accuracy <= 1

    def test_recognised(self, classifier):
        assert 0.9 <= classifier.recognised <= 1

    def test_another_split_does_as_well(self):
        other = DigitClassifier(seed=3)
        assert other.accuracy >= 0.9
        assert other.recognised >= 0.9

    def test_counts_are_by_digit(self, classifier, digits):
        labels = load_digits().target
        counts = classifier.counts(digits)
        assert counts.shape == (10,)
        assert 0.9 * len(digits) <= counts.sum() <= len(digits)
        for digit in range(10):
            alone = classifier.counts(digits[labels == digit])
            assert alone[digit] >= 0.9 * (labels == digit).sum()
            assert alone.sum() - alone[digit] <= 2

    @pytest.mark.parametrize('scale', [2, 4, 8])
    def test_at_a_multiple_of_their_size(self, classifier, digits, scale):
        large = digits[:300].repeat(scale, axis=2).repeat(scale, axis=3)
        assert (
            classifier.counts(large) == classifier.counts(digits[:300])
        ).all()

    def test_as_the_config_resizes_them(self, classifier, digits):
        """Bicubic, to 32x32: what the generators learn to make."""
        large = np.stack(
            [
                cv2.resize(image[0], (32, 32), interpolation=cv2.INTER_CUBIC)
                for image in digits[:300]
            ]
        )[:, None]
        assert share(classifier, large) >= 0.85


class TestOtherImages:
    @pytest.fixture
    def rng(self):
        return np.random.RandomState(7)

    @pytest.mark.parametrize('size', [8, 32])
    def test_noise(self, classifier, rng, size):
        noise = rng.randint(0, 256, (300, 1, size, size)).astype(np.uint8)
        assert share(classifier, noise) < 0.05

    @pytest.mark.parametrize('value', [0, 64, 128, 255])
    def test_blank_ones(self, classifier, value):
        blank = np.full((3, 1, 8, 8), value, np.uint8)
        assert classifier.counts(blank).sum() == 0

    def test_blends_of_two_digits(self, classifier, digits, rng):
        labels = load_digits().target
        one, other = rng.randint(0, len(digits), (2, 2000))
        differ = labels[one] != labels[other]
        one, other = one[differ], other[differ]
        blends = (digits[one].astype(int) + digits[other]) // 2
        assert share(classifier, blends.astype(np.uint8)) < 0.25

    def test_shuffled_digits(self, classifier, digits, rng):
        flat = digits[:300].reshape(300, 64)
        shuffled = np.stack([row[rng.permutation(64)] for row in flat])
        assert share(classifier, shuffled.reshape(300, 1, 8, 8)) < 0.05


class TestErrors:
    @pytest.mark.parametrize(
        'shape',
        [(8, 8), (3, 8, 8), (3, 3, 8, 8), (3, 1, 12, 8), (3, 1, 8, 30)],
    )
    def test_another_shape(self, classifier, shape):
        with pytest.raises(ValueError, match=r'\(N, 1, 8k, 8k\)') as error:
            classifier.counts(np.zeros(shape, np.uint8))
        assert str(shape) in str(error.value)


def test_is_the_same_each_time(classifier, digits):
    again = DigitClassifier()
    assert again.accuracy == classifier.accuracy
    assert again.recognised == classifier.recognised
    assert (again.counts(digits[:50]) == classifier.counts(digits[:50])).all()
