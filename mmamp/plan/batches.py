"""Batches of any size, of one sample."""

from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

from mmamp.errors import UsageError
from mmamp.launcher.mistakes import MISTAKES


class Batches:
    """Makes batches as the config's loader does, of its first sample alone.

    Args:
        cfg (Config): With a ``train_dataloader``.

    Attributes:
        size (int): Of the config's batches.

    Raises:
        UsageError: If the config says no size, or the sample cannot be read.
    """

    def __init__(self, cfg: Config) -> None:
        given: Any = cfg.get('train_dataloader')
        if given is None:
            raise UsageError(
                'the config has no train_dataloader, so that nobody knows '
                'what a batch is'
            )
        try:
            loader = Runner.build_dataloader(given, seed=0)
            sample = loader.dataset[0]
        except MISTAKES as error:
            text = ' '.join(str(error).split())
            raise UsageError(
                'train_dataloader gives no sample, whose shape a plan needs: '
                f'{type(error).__name__}: {text}'
            ) from error
        self._sample, self._collate = sample, loader.collate_fn
        self.size = int(given.get('batch_size') or loader.batch_size or 0)

    def of(self, size: int) -> Any:
        """Return a batch.

        Args:
            size (int): Samples of it.
        """
        return self._collate([self._sample] * size)

    def like(self, size: int) -> Any:
        """Return a batch of which nothing but shapes and dtypes count.

        However many samples it has, it takes no memory: what grows from two
        samples to three is what there is one of for each.

        Args:
            size (int): Samples of it.
        """
        return _grown(self.of(2), self.of(3), size)


def _grown(two: Any, three: Any, size: int) -> Any:
    """Return what batches of two and three samples would be in another size.

    Args:
        two (Any): The one.
        three (Any): The other.
        size (int): Samples.
    """
    if isinstance(two, Tensor):
        if two.shape == three.shape:
            return two
        shape = [
            size if a != b else a
            for a, b in zip(two.shape, three.shape, strict=True)
        ]
        # One number, wherever it is read.
        return two.new_zeros(()).expand(shape)
    if isinstance(two, dict):
        return type(two)(
            {key: _grown(x, three[key], size) for key, x in two.items()}
        )
    if isinstance(two, list | tuple) and not hasattr(two, '_fields'):
        if len(two) != len(three):
            return type(two)([two[0]] * size)
        pairs = zip(two, three, strict=True)
        return type(two)([_grown(x, y, size) for x, y in pairs])
    return two
