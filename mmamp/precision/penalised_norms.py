"""Norms by statistics of the data, whose second derivative float16 lacks."""

from typing import Any

import torch
from torch import Tensor, nn

from mmamp.compat.torch import BatchStatistics
from mmamp.logging.once import LogOnce

from .dtypes import is_narrow
from .islands import Island, is_floating, islands

WATCHED = 100
"""Forward passes of a norm that are watched: penalties may be lazy."""


class PenalisedNorm(Island):
    """A norm that runs in float32 once a gradient of it is differentiated.

    The second derivative of batch and instance norm divides by the variance
    of their input, and where weights are small it is not finite in float16 at
    any loss scale. A penalty on gradients needs it, by whatever way it takes
    them: its backward pass has gradients enabled.

    Args:
        name (str): Of the module, for the log.
        log_once (LogOnce): Of all norms of a model.
    """

    def __init__(self, name: str, log_once: LogOnce) -> None:
        super().__init__(None)
        self._name, self._log_once = name, log_once
        self._left = WATCHED

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the norm, in float32 if that was found to be needed."""
        if self.dtype is not None or torch.compiler.is_compiling():
            return super().__call__(*args, **kwargs)
        output = self.run_given(*args, **kwargs)
        if (
            self._left
            and is_floating(output)
            and is_narrow(output.dtype)
            and output.requires_grad
        ):
            self._left -= 1
            output.register_hook(self._look)
        return output

    def _look(self, grad: Tensor) -> None:
        if not torch.is_grad_enabled() or self.dtype is not None:
            return
        self.dtype = torch.float32
        self._left = 0
        self._log_once.warn(
            'A penalty differentiates a gradient that went through '
            f'{self._name!r} ({type(self.owner).__name__}) in float16, where '
            'its second derivative may not be finite at any loss scale. From '
            'the next forward pass on it and others like it run in float32, '
            "as custom_hooks=[dict(type='mmamp.PrecisionHook', "
            "rules=['normalization'])] has them from the start",
            key='penalised norms',
        )


def watch_penalties(model: nn.Module, log_once: LogOnce) -> None:
    """Have the batch and instance norms of a model watched.

    Args:
        model (nn.Module): Its modules are changed in place; those that run in
            a precision of their own, or are watched already, are not.
        log_once (LogOnce): Says what was found.
    """
    for name, module in model.named_modules():
        if (
            isinstance(module, BatchStatistics)
            and not isinstance(module, torch.jit.ScriptModule)
            and not any(
                isinstance(x, PenalisedNorm) or x.dtype is not None
                for x in islands(module)
            )
        ):
            PenalisedNorm(name, log_once).install(module)
