"""What the generator makes, while it trains."""

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import Hook

from mmamp.module_names import unwrap
from mmamp.registry import HOOKS
from mmamp.sharding import sharded_modules
from mmamp.visualization import image_grid


@HOOKS.register_module()
class SampleHook(Hook):
    """Show a grid of generated images, always from the same latents.

    The grid goes to every backend of the ``Visualizer``: as a PNG with
    ``LocalVisBackend``, to TensorBoard, to W&B. The averaged generator is
    used if the model has one.

    Args:
        interval (int): Iterations between two grids; there is also one at the
            end. Defaults to 100.
        num_samples (int): Images in the grid. Defaults to 64.
        columns (int): Images in a row; with a conditional model one column a
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
        for name, value in [
            ('interval', interval),
            ('num_samples', num_samples),
            ('columns', columns),
        ]:
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f'{name} must be an int >= 1, but got {value!r}'
                )
        self.interval = interval
        self.num_samples = num_samples
        self.columns = columns

    def before_train(self, runner: Any) -> None:
        """Find out now whether the model can be asked for samples."""
        model = unwrap(runner.model)
        if not hasattr(model, 'sample'):
            raise TypeError(
                f'SampleHook: {type(model).__name__} has no method '
                'sample(num, labels) that returns uint8 images of shape '
                '(num, C, H, W): define it, or leave the hook out of '
                'custom_hooks'
            )

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Draw at the interval and at the end."""
        if self.every_n_train_iters(
            runner, self.interval
        ) or self.is_last_train_iter(runner):
            # A generator that is sharded runs on all ranks or on none.
            if not (is_main_process() or sharded_modules(runner.model)):
                return
            grid = self._grid(runner.model)
            if is_main_process():
                runner.visualizer.add_image(
                    'samples', grid, step=runner.iter + 1
                )

    @master_only
    def after_train(self, runner: Any) -> None:
        """Say where the last picture is."""
        name = f'samples_{runner.iter}.png'
        for path in Path(runner.log_dir).rglob(name):
            runner.logger.info(f'Samples: {path}')

    def _grid(self, model: Any) -> Any:
        model = unwrap(model)
        labels = None
        if getattr(model, 'num_classes', None) is not None:
            # One column a class, as far as they go.
            column = torch.arange(self.num_samples) % self.columns
            labels = (column % model.num_classes).to(
                model.data_preprocessor.device
            )
        images = model.sample(self.num_samples, labels)
        return image_grid(images.cpu().numpy(), self.columns)
