"""Batches of any size, of one sample."""

from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

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
