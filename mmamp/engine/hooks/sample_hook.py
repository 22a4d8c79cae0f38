"""What the generator makes, while it trains."""

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import Hook

from mmamp.distributed.sharding import sharded_modules
from mmamp.precision.predictions import in_float32
from mmamp.registry import HOOKS
from mmamp.utils.checks import check_int
from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import Panels, Samples
from mmamp.visualization import panels_image
from mmamp.visualization.shown_items import shown_items

from .settled_model import settled_model


@HOOKS.register_module()
class SampleHook(Hook):
    """Show what the model makes, always of the same latents or pictures.

    A :class:`~mmamp.models.BaseGAN` shows real pictures beside those of the
    generator and of its average (EMA); one that makes pictures of pictures
    shows its sources and, if it has them, what was wanted. They are spread
    evenly over the validation data, or else the training data. Another
    model needs a method ``sample(num, labels)``; of one without, nothing is
    drawn, and that is said.

    The picture goes to every backend of the ``Visualizer``: as a PNG with
    ``LocalVisBackend``, to TensorBoard, to W&B.

    Args:
        interval (int): Iterations between two pictures; there is also one at
            the end. Defaults to 100.
        num_samples (int): Images of each kind; all, where the data have
            fewer. Defaults to 64.
        columns (int): Images in a row; with a conditional model, one column a
            class is a good choice. Defaults to 8.

    Raises:
        ValueError: If a number is not positive.

    Examples:
        >>> custom_hooks = [dict(type='mmamp.SampleHook', interval=100)]
    """

    # After the logger, before the checkpoint.
    priority = 'LOW'

    def __init__(
        self, interval: int = 100, num_samples: int = 64, columns: int = 8
    ) -> None:
        self.interval = check_int('interval', interval)
        self.num_samples = check_int('num_samples', num_samples)
        self.columns = check_int('columns', columns)
        self._data: Any = None
        self._is_idle = False

    def before_train(self, runner: Any) -> None:
        """Find out now what the model can show, and load what of."""
        model = unwrap(runner.model)
        if isinstance(model, Panels):
            loop = runner.val_loop or runner.train_loop
            dataset = loop.dataloader.dataset
            self.num_samples = min(self.num_samples, len(dataset))
            self._data = shown_items(
                dataset, self.num_samples, self._labels(model)
            )
        elif not isinstance(model, Samples):
            self._is_idle = True
            runner.logger.warning(
                f'SampleHook draws nothing: {type(model).__name__} has no '
                'method sample(num, labels) that returns uint8 images of '
                'shape (num, C, H, W). Define it, or leave the hook out of '
                'custom_hooks'
            )

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Draw at the interval and at the end."""
        if self._is_idle:
            return
        if self.every_n_train_iters(
            runner, self.interval
        ) or self.is_last_train_iter(runner):
            # A generator that is sharded runs on all ranks or on none.
            if not (is_main_process() or sharded_modules(runner.model)):
                return
            with settled_model(runner):
                panels = in_float32(self._panels(unwrap(runner.model)))
            if is_main_process():
                runner.visualizer.add_image(
                    'samples',
                    panels_image(panels, self.columns),
                    step=runner.iter + 1,
                )

    @master_only  # type: ignore[untyped-decorator]
    def after_train(self, runner: Any) -> None:
        """Say where the last picture is."""
        name = f'samples_{runner.iter}.png'
        for path in Path(runner.log_dir).rglob(name):
            runner.logger.info(f'Samples: {path}')

    def _labels(self, model: Any) -> list[int] | None:
        """One column a class, as far as they go."""
        classes = getattr(model, 'num_classes', None)
        if classes is None:
            return None
        return [i % self.columns % classes for i in range(self.num_samples)]

    def _panels(self, model: Any) -> Any:
        if self._data is not None:
            return model.panels(self._data)
        classes = self._labels(model)
        device = next(model.parameters()).device
        labels = (
            None if classes is None else torch.tensor(classes, device=device)
        )
        return dict(samples=model.sample(self.num_samples, labels))
