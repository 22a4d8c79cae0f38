"""Which generated images are digits."""

import mmcv
import numpy as np

NOT_A_DIGIT = 10


class DigitClassifier:
    """A small classifier, trained on scikit-learn's digits in seconds.

    A support vector machine with a radial kernel and calibrated
    probabilities. Beside the ten digits it learns an eleventh class of what a
    bad generator makes: blends of two digits, halves of two, shuffled pixels,
    noise. Without it a classifier is sure of noise, too.

    Args:
        seed (int): Of the split into training (80 %) and held-out digits, and
            of the eleventh class. Defaults to 0.

    Attributes:
        accuracy (float): On held-out digits.
        recognised (float): Share of held-out digits that it takes for any
            digit with confidence >= 0.8: what a perfect generator would get.
    """

    confidence = 0.8

    def __init__(self, seed: int = 0) -> None:
        # Here, since it takes a second to import and few runs need it.
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        images, labels = load_digits(return_X_y=True)
        images = _resized(images)
        train_x, test_x, train_y, test_y = train_test_split(
            images, labels, test_size=0.2, random_state=seed, stratify=labels
        )
        rng = np.random.RandomState(seed)
        others = _not_digits(train_x, rng)
        x = np.concatenate([train_x, others])
        y = np.concatenate([train_y, np.full(len(others), NOT_A_DIGIT)])
        self._model = CalibratedClassifierCV(
            SVC(gamma=0.001, C=10.0), ensemble=False
        )
        self._model.fit(
            np.concatenate([x, _varied(x, rng)]), np.concatenate([y, y])
        )
        self.accuracy = float(self._model.score(test_x, test_y))
        self.recognised = float((self._labels(test_x) != NOT_A_DIGIT).mean())

    def counts(self, images: np.ndarray) -> np.ndarray:
        """Count the images taken for each digit, with confidence.

        Args:
            images (np.ndarray): uint8 of shape (N, 1, H, W), H and W
                multiples of 8.

        Returns:
            np.ndarray: Counts, of shape (10, ); their sum is at most N.
        """
        return _counts(self.labels(images))

    def labels(self, images: np.ndarray) -> np.ndarray:
        """Tell which digit each image is taken for, with confidence.

        Args:
            images (np.ndarray): uint8 of shape (N, 1, H, W), H and W
                multiples of 8.

        Returns:
            np.ndarray: Of shape (N, ): 0 to 9, or ``NOT_A_DIGIT``.

        Raises:
            ValueError: If the images are of another shape.
        """
        if (
            images.ndim != 4
            or images.shape[1] != 1
            or (images.shape[2] % 8 or images.shape[3] % 8)
        ):
            raise ValueError(
                'images must be of shape (N, 1, 8k, 8k), '
                f'but got {images.shape}'
            )
        pixels = _block_means(images[:, 0]) * (16 / 255)
        return self._labels(pixels)

    def _labels(self, pixels: np.ndarray) -> np.ndarray:
        probabilities = self._model.predict_proba(pixels)
        sure = probabilities.max(1) >= self.confidence
        return np.where(sure, probabilities.argmax(1), NOT_A_DIGIT)


def _counts(labels: np.ndarray) -> np.ndarray:
    """Count how often each digit occurs."""
    return np.bincount(labels[labels != NOT_A_DIGIT], minlength=10)


def _block_means(images: np.ndarray) -> np.ndarray:
    """Average each of 8x8 blocks: (N, H, W) to (N, 64)."""
    num, height, width = images.shape
    blocks = images.reshape(num, 8, height // 8, 8, width // 8)
    means: np.ndarray = blocks.mean(axis=(2, 4))
    return means.reshape(num, 64)


def _resized(digits: np.ndarray) -> np.ndarray:
    """Put digits through the resize that generators are trained on."""
    images = digits.reshape(-1, 8, 8).astype(np.float32)
    large = [
        mmcv.imresize(i, (32, 32), interpolation='bicubic') for i in images
    ]
    return _block_means(np.stack(large).clip(0, 16))


def _varied(pixels: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Change contrast and brightness, and add a little noise."""
    contrast = rng.uniform(0.8, 1, (len(pixels), 1))
    brightness = rng.uniform(0, 1, (len(pixels), 1))
    noise = rng.normal(0, 0.7, pixels.shape)
    return (pixels * contrast + brightness + noise).clip(0, 16)


def _not_digits(digits: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Make as many images that are no digits, of shape (N, 64), of digits."""
    num = len(digits)
    one, other = (digits[rng.permutation(num)] for _ in range(2))
    blends = (one + other) / 2
    halves = np.where(np.arange(64) % 8 < 4, one, other[:, ::-1])
    shuffled = np.stack([row[rng.permutation(64)] for row in one])
    noise = rng.uniform(0, 16, (num, 64)) * rng.uniform(0, 1, (num, 1))
    kinds = np.stack([blends, halves, shuffled, noise])
    return kinds[np.arange(num) % len(kinds), np.arange(num)]
