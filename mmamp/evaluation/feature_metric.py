"""FID, KID and Inception Score."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor, nn

from mmamp.logging.once import LogOnce
from mmamp.registry import METRICS, built
from mmamp.utils.checks import check_int

from .images import fake_images, full_precision, library, real_images

NAMES = ('FID', 'KID', 'IS')
_ALONE = dict(sync_on_compute=False)
"""MMEngine has gathered the features on the first rank, which computes."""


@METRICS.register_module()
class FeatureMetric(BaseMetric):
    """Scores of generated images by the features of a network.

    - ``'FID'``: Frechet distance of Gaussians fitted to the features of real
      and generated images (Heusel et al., "GANs Trained by a Two Time-Scale
      Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017).
    - ``'KID'``: squared maximum mean discrepancy under a cubic kernel, the
      mean over subsets; unbiased, so that it may be negative (Binkowski et
      al., "Demystifying MMD GANs", ICLR 2018). ``KID_std`` is its standard
      deviation over subsets, where there are several.
    - ``'IS'``: Inception Score of the generated images by the logits, the
      mean over splits (Salimans et al., "Improved Techniques for Training
      GANs", NeurIPS 2016). ``IS_std`` is its standard deviation over splits,
      where there are several: that of all of them, as it is published, not an
      estimate from a sample.

    Each image goes through the network once, in full precision, and only its
    features are kept. torchmetrics computes the scores from them in double
    precision. The same images and seed give the same scores; the random
    numbers of the training are left alone.

    Values are comparable only where network and number of images are the
    same. FID of fewer images than features is said in the log: their
    covariance has no full rank, and the value is too large by more, the fewer
    they are.

    Args:
        feature_network (dict or nn.Module): Called with uint8 images of shape
            (N, C, H, W), it returns features (N, D) and logits (N, classes),
            as a tuple or as a dict with these names:
            :class:`~mmamp.evaluation.inception.InceptionV3`, which published
            values are of, :class:`~mmamp.evaluation.digit_features.
            DigitFeatures`, or another.
        metrics (list[str]): Which scores. Defaults to all three.
        real_key (str): Where the real images are: ``'inputs'``, or a key of
            ``data_samples`` such as ``'gt_img'``. Defaults to ``'inputs'``.
        kid_subsets (int): Subsets that KID is averaged over. Defaults to 100.
        kid_subset_size (int): Images in each; all, if there are fewer.
            Defaults to 1000.
        is_splits (int): Parts that IS is averaged over. Defaults to 10.
        seed (int): Of subsets and splits. Defaults to 0.
        **kwargs: Arguments of MMEngine's ``BaseMetric``.

    Raises:
        ImportError: If torchmetrics is not installed.
        TypeError: If the network is neither dict nor module, or returns
            something else.
        ValueError: If an argument is not valid, or there are too few images.

    Examples:
        >>> val_evaluator = dict(
        ...     type='mmamp.FeatureMetric',
        ...     metrics=['FID', 'IS'],
        ...     feature_network=dict(
        ...         type='mmamp.InceptionV3',
        ...         weights='weights-inception-2015-12-05-6726825d.pth'))
    """

    # Not None, for which MMEngine would warn.
    default_prefix = ''

    def __init__(
        self,
        feature_network: dict[str, Any] | nn.Module,
        metrics: Sequence[str] = NAMES,
        real_key: str = 'inputs',
        kid_subsets: int = 100,
        kid_subset_size: int = 1000,
        is_splits: int = 10,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(metrics, str) or not metrics or set(metrics) - {*NAMES}:
            raise ValueError(
                f'metrics={metrics!r}: give a list of {", ".join(NAMES)}'
            )
        self.metrics = tuple(metrics)
        self.real_key = real_key
        self.kid_subsets = check_int('kid_subsets', kid_subsets)
        self.kid_subset_size = check_int('kid_subset_size', kid_subset_size, 2)
        self.is_splits = check_int('is_splits', is_splits)
        self.seed = check_int('seed', seed, low=0)
        self.min_samples = max(2, is_splits if 'IS' in metrics else 0)
        # Now, so that a run without it ends before it trains.
        library('torchmetrics', self)
        self.feature_network = built('feature_network', feature_network).eval()
        self._log_once = LogOnce()

    def process(
        self, data_batch: Any, data_samples: Sequence[dict[str, Any]]
    ) -> None:
        """Take the features of the images of a batch.

        Args:
            data_batch (dict): With the real images, which IS alone does
                without.
            data_samples (Sequence[dict]): With ``fake_img``, uint8 of shape
                (C, H, W), one an image.
        """
        fake = fake_images(data_samples)
        self.feature_network.to(fake.device)
        features, logits = self._features(fake)
        columns = dict(fake=features, logits=logits)
        if self.metrics != ('IS',):
            real = real_images(data_batch, self.real_key, like=fake)
            columns['real'], _ = self._features(real)
        # Rows of numpy arrays: a row of a tensor would be pickled together
        # with the whole batch.
        arrays = {k: v.float().cpu().numpy() for k, v in columns.items()}
        self.results += [
            {k: v[i] for k, v in arrays.items()} for i in range(len(fake))
        ]

    @torch.no_grad()
    def _features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        with (
            torch.autocast(images.device.type, enabled=False),
            full_precision(),
        ):
            found = self.feature_network(images)
        if isinstance(found, dict):
            found = found.get('features'), found.get('logits')
        num = len(images)
        if not isinstance(found, (tuple, list)) or [
            x.shape[:1] if isinstance(x, Tensor) and x.dim() == 2 else None
            for x in found
        ] != [(num,), (num,)]:
            raise TypeError(
                f'{type(self.feature_network).__name__} must return features '
                f'(N, D) and logits (N, classes) of {num} images, as a tuple '
                f'or a dict with these names, but returned {_shapes(found)}'
            )
        return found[0], found[1]

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Compute the scores, from all features in the order of the data."""
        columns = {
            key: torch.from_numpy(np.stack([x[key] for x in results])).double()
            for key in results[0]
        }
        if len(results) < 2:
            raise ValueError('FID, KID and IS need at least two images')
        scores: dict[str, float] = {}
        for name in self.metrics:
            # Each starts from the seed, whichever come before it.
            with _seeded(self.seed), _quiet():
                scores.update(getattr(self, f'_{name.lower()}')(columns))
        return scores

    def _fid(self, columns: dict[str, Tensor]) -> dict[str, float]:
        num, size = columns['real'].shape
        if num <= size:
            self._log_once.warn(
                f'FID: the covariance of {num} images has no full rank in '
                f'{size} features, which takes more than {size} images: the '
                'value is too large, and comparable only with others of '
                f'{num} images'
            )
        module = library('torchmetrics.image.fid', self)
        metric = module.FrechetInceptionDistance(
            _PassThrough(columns['real'].shape[1]), **_ALONE
        )
        return dict(FID=float(_compared(metric, columns)))

    def _kid(self, columns: dict[str, Tensor]) -> dict[str, float]:
        num = len(columns['real'])
        if num < self.kid_subset_size:
            self._log_once(
                f'KID: {num} images are fewer than '
                f'kid_subset_size={self.kid_subset_size}; all are taken, as '
                'one subset, so that there is no KID_std'
            )
        everything = num <= self.kid_subset_size
        module = library('torchmetrics.image.kid', self)
        # Subsets that have all images would all be the same.
        subsets = 1 if everything else self.kid_subsets
        metric = module.KernelInceptionDistance(
            _PassThrough(columns['real'].shape[1]),
            subsets=subsets,
            subset_size=min(num, self.kid_subset_size),
            **_ALONE,
        )
        mean, std = _compared(metric, columns)
        return _scores('KID', mean, std, subsets)

    def _is(self, columns: dict[str, Tensor]) -> dict[str, float]:
        logits = columns['logits']
        if len(logits) < self.is_splits:
            raise ValueError(
                f'is_splits={self.is_splits}, but there are only '
                f'{len(logits)} images'
            )
        # Parts of one size, as few as possible of them smaller.
        parts = len(logits.chunk(self.is_splits))
        if parts != self.is_splits:
            self._log_once(
                f'IS: {len(logits)} images make {parts} parts instead of '
                f'is_splits={self.is_splits}'
            )
        module = library('torchmetrics.image.inception', self)
        metric = module.InceptionScore(
            _PassThrough(logits.shape[1]), splits=self.is_splits, **_ALONE
        )
        metric.update(logits)
        mean, std = metric.compute()
        # torchmetrics estimates it, with one part less.
        return _scores('IS', mean, std * (1 - 1 / parts) ** 0.5, parts)


def _scores(
    name: str, mean: Tensor, std: Tensor, parts: int
) -> dict[str, float]:
    """Return a score; of one part there is no deviation."""
    scores = {name: float(mean)}
    if parts > 1:
        scores[f'{name}_std'] = float(std)
    return scores


class _PassThrough(nn.Module):
    """What torchmetrics takes for the network: features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def _compared(metric: Any, columns: dict[str, Tensor]) -> Any:
    """Compare real and generated features by a metric of torchmetrics."""
    metric.update(columns['real'], real=True)
    metric.update(columns['fake'], real=False)
    return metric.compute()


def _shapes(found: Any) -> str:
    if isinstance(found, Tensor):
        return f'a tensor of shape {tuple(found.shape)}'
    if isinstance(found, (tuple, list)):
        return f'({", ".join(_shapes(x) for x in found)})'
    return type(found).__name__


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's random numbers on the CPU, and put them back after it.

    torchmetrics draws from the global ones. ``torch.manual_seed`` would set
    those of the accelerator, too.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence torchmetrics' advice on the memory that features take.

    And torch's on the deviation of a single split, which is not reported.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Metric `.*` will save')
        warnings.filterwarnings('ignore', message=r'std\(\): degrees of')
        yield
